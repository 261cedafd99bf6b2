package jsonschema

import (
	"reflect"

	foreign "github.com/santhosh-tekuri/jsonschema/v6"
)

// steps bounds a check, of which the validator itself has no notion. It asks for a value's
// format before it looks at what is in the value, so each schema gets a format that counts. It
// also takes over what the validator does by comparing each value with each, enum, const and
// uniqueItems, and propertyNames, whose places it tells wrongly.
type steps struct {
	left int
	seen map[*foreign.Schema]bool
}

// run validates in at most so many steps: else it is errTooLong.
func (s *steps) run(by *foreign.Schema, value any, most int) (err error) {
	s.left = most
	defer func() {
		switch r := recover(); r {
		case nil:
		case errTooLong:
			err = errTooLong
		default:
			panic(r)
		}
	}()
	return by.Validate(value)
}

func (s *steps) take(n int) {
	if s.left -= n; s.left < 0 {
		panic(errTooLong)
	}
}

// bound makes a schema, and all that it leads to, count.
func (s *steps) bound(schema *foreign.Schema) {
	if schema == nil || s.seen[schema] {
		return
	}
	s.seen[schema] = true
	s.replace(schema)
	fields := reflect.ValueOf(schema).Elem()
	for i := range fields.NumField() {
		if fields.Type().Field(i).IsExported() {
			s.boundAll(fields.Field(i))
		}
	}
}

// boundAll bounds the schemas that a field of one holds.
func (s *steps) boundAll(field reflect.Value) {
	switch v := field.Interface().(type) {
	case *foreign.Schema:
		s.bound(v)
		return
	case *foreign.DynamicRef:
		if v != nil {
			s.bound(v.Ref)
		}
		return
	}
	switch field.Kind() {
	case reflect.Interface:
		if !field.IsNil() {
			s.boundAll(field.Elem())
		}
	case reflect.Slice:
		for i := range field.Len() {
			s.boundAll(field.Index(i))
		}
	case reflect.Map:
		for _, value := range field.Seq2() {
			s.boundAll(value)
		}
	default:
	}
}

// replace puts a schema's format, and what else is taken over, into a format that counts.
func (s *steps) replace(schema *foreign.Schema) {
	var asserted []assertion
	if schema.Const != nil {
		asserted = append(asserted, s.oneOf("const", []any{*schema.Const}))
	}
	if schema.Enum != nil {
		asserted = append(asserted, s.oneOf("enum", schema.Enum.Values))
	}
	if schema.UniqueItems {
		asserted = append(asserted, assertion{"uniqueItems", s.unique})
	}
	if names := schema.PropertyNames; names != nil {
		s.bound(names)
		asserted = append(asserted, assertion{"propertyNames", func(v any) bool { return named(v, names) }})
	}
	if f := schema.Format; f != nil {
		asserted = append(asserted, assertion{"format", func(v any) bool { return f.Validate(v) == nil }})
	}
	schema.Const, schema.Enum, schema.UniqueItems, schema.PropertyNames = nil, nil, false, nil
	schema.Format = &foreign.Format{Validate: func(v any) error {
		s.take(size(v))
		for _, r := range asserted {
			if !r.holds(v) {
				return broken(r.keyword)
			}
		}
		return nil
	}}
}

type assertion struct {
	keyword string
	holds   func(v any) bool
}

// broken is the keyword that a value does not fit.
type broken string

func (b broken) Error() string { return string(b) }

// named tells whether all names of an object are as a schema wants them.
func named(v any, by *foreign.Schema) bool {
	fields, _ := v.(map[string]any)
	for name := range fields {
		if by.Validate(name) != nil {
			return false
		}
	}
	return true
}

// size is how many steps a value is.
func size(v any) int {
	switch v := v.(type) {
	case map[string]any:
		return 1 + len(v)
	case []any:
		return 1 + len(v)
	case string:
		return 1 + len(v)/64
	}
	return 1
}
