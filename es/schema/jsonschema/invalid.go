package jsonschema

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	foreign "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// finding is a place of a payload that does not fit a keyword of its schema.
type finding struct {
	at      []string
	schema  string // where the keyword is: a JSON pointer
	keyword string
	kind    foreign.ErrorKind
}

// first is what is wrong with a payload, or the first of that, without any value of it.
func (c *validators) first(found *foreign.ValidationError, value any) error {
	first := slices.MinFunc(findings(found), func(a, b finding) int {
		return cmp.Or(slices.Compare(a.at, b.at), cmp.Compare(a.schema, b.schema), cmp.Compare(a.keyword, b.keyword))
	})
	return errors.New(pathIn(value, first.at) + " does not fit " + c.rule(first))
}

// findings are those of an error, down to where a value has several ways to be valid.
func findings(err *foreign.ValidationError) (list []finding) {
	switch err.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		if len(err.Causes) > 0 {
			for _, cause := range err.Causes {
				list = append(list, findings(cause)...)
			}
			return list
		}
	}
	_, fragment, _ := strings.Cut(err.SchemaURL, "#")
	if plain, bad := url.PathUnescape(fragment); bad == nil {
		fragment = plain
	}
	return []finding{{err.InstanceLocation, fragment, keywordOf(err.ErrorKind), err.ErrorKind}}
}

func keywordOf(k foreign.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Format:
		return k.Err.Error() // a keyword: see steps.replace
	case *kind.Not:
		return "not"
	case *kind.RefCycle:
		return "$ref"
	case *kind.Dependency:
		return "dependencies"
	}
	if path := k.KeywordPath(); len(path) > 0 {
		return path[0]
	}
	return ""
}

// rule is what the schema says there: minimum 0 (#/properties/total/minimum).
func (c *validators) rule(f finding) string {
	at := c.document.root
	for token := range strings.SplitSeq(strings.TrimPrefix(f.schema, "/"), "/") {
		if next := at.part(token); next != nil {
			at = next
		}
	}
	if f.keyword == "" {
		return "a schema that allows nothing (" + at.pointer() + ")"
	}
	says := at.part(f.keyword)
	if says == nil {
		return fmt.Sprintf("%s (%s)", f.keyword, at.pointer())
	}
	text := f.keyword
	if says.kind != tObject && (says.kind != tArray || f.keyword == "type") {
		text += " " + says.shown()
	}
	return fmt.Sprintf("%s%s (%s)", text, names(f.kind), says.pointer())
}

// names are those that a rule is about.
func names(k foreign.ErrorKind) string {
	var list []string
	var says string
	switch k := k.(type) {
	case *kind.Required:
		list, says = k.Missing, "missing"
	case *kind.Dependency:
		list, says = k.Missing, "missing"
	case *kind.DependentRequired:
		list, says = k.Missing, "missing"
	case *kind.AdditionalProperties:
		list, says = k.Properties, "not among its names"
	default:
		return ""
	}
	return fmt.Sprintf(": %s is %s", short(slices.Min(list)), says)
}

// part is the value at a token of a JSON pointer.
func (v *value) part(token string) *value {
	token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	if i, err := strconv.Atoi(token); err == nil && v.kind == tArray && i >= 0 && i < len(v.list) {
		return v.list[i]
	}
	return v.fields[token]
}

// fragment is the whole place of a value, for a URL.
func (v *value) fragment() string {
	var b strings.Builder
	for ; v.above != nil; v = v.above {
		token := url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(v.token))
		rest := b.String()
		b.Reset()
		b.WriteString("/" + token + rest)
	}
	return b.String()
}

// pathIn is a place of a payload, as people write it: lines[3].price.
func pathIn(payload any, tokens []string) string {
	var b strings.Builder
	for i, token := range tokens {
		switch in := payload.(type) {
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n >= len(in) {
				return b.String()
			}
			payload = in[n]
			b.WriteString("[" + token + "]")
		case map[string]any:
			payload = in[token]
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(short(token))
		}
	}
	if b.Len() == 0 {
		return "the payload"
	}
	return b.String()
}
