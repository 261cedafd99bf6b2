package jsonschema

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// document is a text with its schemas.
type document struct {
	g         *graph
	root      *value
	draft     int
	resources map[string]*value // by URI
	anchors   map[string]*value // by URI#name
	dynamic   map[string]int    // how many $dynamicAnchors have a name
	recursive bool              // a $recursiveAnchor is set
	todo      []place
}

// place is a schema that is to be read, and what its references are relative to.
type place struct {
	n    *node
	v    *value
	base string
}

// newest is the draft of texts that do not say theirs.
const newest = 2020

// load reads a text and all of its schemas, and returns the root's.
func load(g *graph, text string) (*document, *node, error) {
	root, err := read(text)
	if err != nil {
		return nil, nil, err
	}
	d := &document{g: g, root: root, resources: map[string]*value{}, anchors: map[string]*value{}, dynamic: map[string]int{}}
	if d.draft, err = draftOf(root); err != nil {
		return nil, nil, err
	}
	d.resources[""] = root
	if err := d.index(root, ""); err != nil {
		return nil, nil, err
	}
	n, err := d.schema(root, d.baseOf(root, ""))
	for err == nil && len(d.todo) > 0 {
		next := d.todo[len(d.todo)-1]
		d.todo = d.todo[:len(d.todo)-1]
		err = d.readNode(next)
	}
	return d, n, err
}

// draftOf is the draft that a text declares.
func draftOf(root *value) (int, error) {
	declared := root.fields["$schema"]
	if declared == nil {
		return newest, nil
	}
	_, name, _ := strings.Cut(strings.TrimSuffix(declared.text, "#"), "://json-schema.org/")
	switch name {
	case "draft-04/schema":
		return 4, nil
	case "draft-06/schema":
		return 6, nil
	case "draft-07/schema":
		return 7, nil
	case "draft/2019-09/schema":
		return 2019, nil
	case "draft/2020-12/schema", "schema":
		return 2020, nil
	}
	return 0, declared.errorf("%q is no draft that is known here: use 4, 6, 7, 2019-09 or 2020-12", short(declared.shown()))
}

// schema is that at a place. What it says is read later.
func (d *document) schema(v *value, base string) (*node, error) {
	if n, known := d.g.byPlace[v]; known {
		return n, nil
	}
	if v.kind != tObject && v.kind != tBoolean {
		return nil, v.errorf("it is no schema: give an object, true or false")
	}
	n := d.g.add()
	d.g.byPlace[v] = n
	d.todo = append(d.todo, place{n, v, base})
	return n, nil
}

// index finds what has a name of its own in a schema, and below.
func (d *document) index(v *value, base string) error {
	if v.kind != tObject {
		return nil
	}
	if err := d.indexID(v, base); err != nil {
		return err
	}
	base = d.baseOf(v, base)
	if s := v.fields["$schema"]; s != nil {
		if draft, err := draftOf(v); err != nil || draft != d.draft {
			return s.errorf("it is another draft than the root's: use one in a text")
		}
	}
	for _, keyword := range []string{"$anchor", "$dynamicAnchor"} {
		if a := v.fields[keyword]; a != nil && d.knows(keyword) {
			d.anchors[base+"#"+a.text] = v
			if keyword == "$dynamicAnchor" {
				d.dynamic[a.text]++
			}
		}
	}
	if a := v.fields["$recursiveAnchor"]; a != nil && a.truth {
		d.recursive = true
	}
	for _, name := range v.names {
		for _, sub := range below(name, v.fields[name]) {
			if err := d.index(sub, base); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *document) indexID(v *value, base string) error {
	id := v.fields[d.idKeyword()]
	if id == nil || id.kind != tString || d.refAlone(v) {
		return nil
	}
	to, anchor, err := resolve(base, id.text)
	if err != nil {
		return id.errorf("%q is no URI: %w", short(id.text), err)
	}
	if anchor != "" { // as it was before $anchor
		d.anchors[to+"#"+anchor] = v
		return nil
	}
	if other := d.resources[to]; other != nil && other != v && other != d.root {
		return id.errorf("another schema has the %s %q: give each its own", d.idKeyword(), short(id.text))
	}
	d.resources[to] = v
	return nil
}

func (d *document) idKeyword() string {
	if d.draft == 4 {
		return "id"
	}
	return "$id"
}

// refAlone tells that of a schema its $ref alone counts, as it did before 2019-09.
func (d *document) refAlone(v *value) bool {
	return d.draft < 2019 && v.fields["$ref"] != nil
}

// baseOf is what references in a schema are relative to.
func (d *document) baseOf(v *value, base string) string {
	id := v.fields[d.idKeyword()]
	if id == nil || id.kind != tString || d.refAlone(v) {
		return base
	}
	if to, anchor, err := resolve(base, id.text); err == nil && anchor == "" {
		return to
	}
	return base
}

// resolve parts a reference, made absolute, at its fragment.
func resolve(base, ref string) (uri, fragment string, err error) {
	if len(base)+len(ref) > longestURI {
		return "", "", fmt.Errorf("it is longer than %d characters", longestURI)
	}
	b, err := url.Parse(base)
	if err != nil {
		return "", "", err
	}
	to, err := b.Parse(ref)
	if err != nil {
		return "", "", err
	}
	fragment, to.Fragment, to.RawFragment = to.Fragment, "", ""
	if strings.HasPrefix(ref, "#") { // URNs are no bases for url.Parse
		return base, fragment, nil
	}
	return to.String(), fragment, nil
}

// target is what a reference leads to.
func (d *document) target(ref *value, base string) (*node, error) {
	if ref.kind != tString {
		return nil, ref.errorf("it is no reference: give a string")
	}
	uri, fragment, err := resolve(base, ref.text)
	if err != nil {
		return nil, ref.errorf("%q is no reference: %w", short(ref.text), err)
	}
	v := d.resources[uri]
	if v == nil {
		return nil, ref.errorf("%q leads out of the text, and remote references are not loaded: copy what it means to $defs", short(ref.text))
	}
	if fragment != "" && !strings.HasPrefix(fragment, "/") {
		if v = d.anchors[uri+"#"+fragment]; v == nil {
			return nil, ref.errorf("%q leads nowhere: there is no such anchor", short(ref.text))
		}
		return d.schema(v, uri)
	}
	return d.follow(ref, v, uri, fragment)
}

// follow walks a JSON pointer.
func (d *document) follow(ref, v *value, base, pointer string) (*node, error) {
	base = d.baseOf(v, base)
	if pointer == "" {
		return d.schema(v, base)
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		next := v.fields[token]
		if i, err := strconv.Atoi(token); err == nil && v.kind == tArray && i >= 0 && i < len(v.list) {
			next = v.list[i]
		}
		if next == nil {
			return nil, ref.errorf("%q leads nowhere: there is no %q", short(ref.text), short(token))
		}
		v, base = next, d.baseOf(next, base)
	}
	return d.schema(v, base)
}

// knows tells whether the draft has a keyword. What it does not know says nothing.
func (d *document) knows(keyword string) bool {
	since := 4
	switch keyword {
	case "const", "contains", "propertyNames":
		since = 6
	case "if", "then", "else":
		since = 7
	case "$anchor", "$recursiveRef", "dependentRequired", "dependentSchemas", "maxContains", "minContains",
		"unevaluatedItems", "unevaluatedProperties":
		since = 2019
	case "$dynamicAnchor", "$dynamicRef", "prefixItems":
		since = 2020
	}
	gone := (keyword == "$recursiveRef" || keyword == "additionalItems") && d.draft >= 2020
	return d.draft >= since && !gone
}

// below are the schemas that a keyword holds.
func below(keyword string, v *value) []*value {
	switch keyword {
	case "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties":
		list := make([]*value, 0, len(v.names))
		for _, name := range v.names {
			list = append(list, v.fields[name])
		}
		return list
	case "allOf", "anyOf", "oneOf", "prefixItems":
		return v.list
	case "items":
		return append(slices.Clone(v.list), v)
	case "additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then",
		"unevaluatedItems", "unevaluatedProperties":
		return []*value{v}
	}
	return nil
}
