package jsonschema

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// oneOf is an assertion that allows some values.
func (s *steps) oneOf(keyword string, values []any) assertion {
	allowed, compound := make(map[string]bool, len(values)), false
	for _, v := range values {
		allowed[canonical(v)] = true
		compound = compound || isCompound(v)
	}
	return assertion{keyword, func(v any) bool {
		if isCompound(v) && !compound {
			return false
		}
		text := canonical(v)
		s.take(len(text) / 64)
		return allowed[text]
	}}
}

func (s *steps) unique(v any) bool {
	items, _ := v.([]any)
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		text := canonical(item)
		s.take(1 + len(text)/64)
		if seen[text] {
			return false
		}
		seen[text] = true
	}
	return true
}

func isCompound(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// canonical is a text that equal values have in common, and no others.
func canonical(v any) string {
	if s, ok := v.(string); ok {
		return `"` + s // nothing comes after it
	}
	var b strings.Builder
	writeCanonical(&b, v)
	return b.String()
}

func writeCanonical(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case json.Number:
		b.WriteString(canonicalNumber(v.String()))
	case string:
		b.WriteString(strconv.Quote(v))
	case []any:
		b.WriteByte('[')
		for _, item := range v {
			writeCanonical(b, item)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(strconv.Quote(name) + ":")
			writeCanonical(b, v[name])
			b.WriteByte(',')
		}
		b.WriteByte('}')
	}
}

// canonicalNumber is a number as a fraction: 1, 1.0 and 10e-1 are one.
func canonicalNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") && text != "-0" {
		return text
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok { // what is out of range was refused
		return text
	}
	return n.RatString()
}
