package avro

import (
	"encoding"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"time"

	"github.com/twmb/avro"

	"github.com/asof-dev/asof/es/schema"
)

// fits tells why values of a Go type cannot be written by a schema, or not read back: a field
// that one of the two does not have, or another type.
func fits(goType reflect.Type, s *parsed) error {
	root := newTree(s.Root())
	if path := unwritten(nil, goType, root, map[fit]bool{}); path != "" {
		return fmt.Errorf("the schema has no field for %s of %v: add it, or tag it avro:\"-\"", path, goType)
	}
	err := holdsAll(goType, s, root)
	if err == nil || !mismatch(err) && choosy(goType, map[reflect.Type]bool{}) {
		return nil
	}
	return fmt.Errorf("%v does not fit the schema: %s", goType, strings.TrimPrefix(err.Error(), "avro: "))
}

// mismatch is whether the library refuses a type, and not a value.
func mismatch(err error) bool {
	var semantic *avro.SemanticError
	return errors.As(err, &semantic) && semantic.Err == nil
}

// holdsAll writes samples of all that the schema has, and has the Go type read and write them.
func holdsAll(goType reflect.Type, s *parsed, root *node) error {
	for round := range rounds(root, map[*node]bool{}) {
		data := sample{round: round, path: map[*node]bool{}, left: mostSample}
		data.add(root)
		if data.left < 0 {
			return nil // it is too large to try
		}
		value := reflect.New(goType)
		if _, err := s.Decode(data.bytes, value.Interface()); err != nil {
			return err
		}
		if _, err := s.Encode(value.Elem().Interface()); err != nil {
			return err
		}
	}
	return nil
}

// choosy reports a type of which some part reads texts of its own kind only, so that samples
// may not do.
func choosy(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[big.Rat]() {
		return false
	}
	seen[t] = true
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return choosy(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if choosy(field.Type, seen) {
				return true
			}
		}
	default:
	}
	return false
}

// fit is a Go type and the type of the schema that it is written by.
type fit struct {
	goType reflect.Type
	by     *node
}

// unwritten finds a field of a Go type that the schema does not have: it would be lost.
func unwritten(at *schema.Place, t reflect.Type, by *node, seen map[fit]bool) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if seen[fit{t, by}] {
		return ""
	}
	seen[fit{t, by}] = true
	if by.kind == "union" {
		return unwrittenUnion(at, t, by, seen)
	}
	switch {
	case by.kind == "array" && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array):
		return unwritten(at.Below("[]"), t.Elem(), by.items, seen)
	case by.kind == "map" && t.Kind() == reflect.Map:
		return unwritten(at.Below("{}"), t.Elem(), by.items, seen)
	case by.kind == "record" && t.Kind() == reflect.Struct:
		return unwrittenField(at, t, by, seen)
	}
	return ""
}

// unwrittenUnion looks at the branch of a union that may be the Go type's, when there is but one.
func unwrittenUnion(at *schema.Place, t reflect.Type, by *node, seen map[fit]bool) string {
	var only *node
	for _, branch := range by.branches {
		if branch.kind == "record" || branch.kind == "array" || branch.kind == "map" {
			if only != nil {
				return ""
			}
			only = branch
		}
	}
	if only == nil {
		return ""
	}
	return unwritten(at, t, only, seen)
}

func unwrittenField(at *schema.Place, t reflect.Type, by *node, seen map[fit]bool) string {
	fields := map[string]*node{}
	for _, f := range by.fields {
		fields[f.name] = f.of
	}
	for field := range t.Fields() {
		name, tagged, flat := nameOf(field)
		switch of, there := fields[name]; {
		case flat:
			if path := unwritten(at, field.Type, by, seen); path != "" {
				return path
			}
		case !field.IsExported() || tagged == "-":
		case !there:
			return at.Below(field.Name).String()
		default:
			if path := unwritten(at.Below(field.Name), field.Type, of, seen); path != "" {
				return path
			}
		}
	}
	return ""
}

// nameOf is the name of a struct's field in a schema, its tag, and whether its own fields stand
// in its place.
func nameOf(field reflect.StructField) (name, tag string, flat bool) {
	tag = field.Tag.Get("avro")
	name, options, _ := strings.Cut(tag, ",")
	t := field.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	flat = t.Kind() == reflect.Struct && tag != "-" && (field.Anonymous && name == "" || strings.Contains(","+options+",", ",inline,"))
	if name == "" {
		name = field.Name
	}
	return name, tag, flat
}
