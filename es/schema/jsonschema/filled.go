package jsonschema

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	foreign "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/asof-dev/asof/es"
)

// anyName is the name in a map that is filled in. Of such a map nothing is known.
const anyName = "\x00any"

// deepestFilled is how many types within each other are filled in.
const deepestFilled = 8

// fits tells that the schema is not that of an example's type: that no payload, or hardly one,
// would be valid.
func (c contract) fits(example es.Event) error {
	if !isEmpty(example) {
		data, err := json.Marshal(example)
		if err == nil {
			err = c.check(data)
		}
		if err != nil {
			return fmt.Errorf("the example is not valid: %w", err)
		}
		return nil
	}
	filled := reflect.New(reflect.TypeOf(example)).Elem()
	fill(filled, 0)
	data, err := json.Marshal(filled.Interface())
	if err != nil {
		return nil //nolint:nilerr // a type that refuses what it is filled with tells nothing
	}
	value, _, err := readPayload(data)
	if err != nil {
		return nil //nolint:nilerr // such a type as well
	}
	v, err := c.take()
	if err != nil {
		return err
	}
	defer c.put(v)
	var found *foreign.ValidationError
	if !errors.As(v.run(v.schema, value, mostChecked), &found) {
		return nil
	}
	mistakes := slices.DeleteFunc(findings(found), func(f finding) bool { return !f.isMistake(value) })
	if len(mistakes) == 0 {
		return nil
	}
	m := mistakes[0]
	return fmt.Errorf("%T does not fit it: of its JSON %s does not fit %s: correct one of them, or give an example that is filled in",
		example, pathIn(value, m.at), c.rule(m))
}

func isEmpty(example es.Event) bool {
	v := reflect.ValueOf(example)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return v.IsZero()
}

// isMistake tells whether other values in the fields would not help.
func (f finding) isMistake(filled any) bool {
	for token := range strings.SplitSeq(f.schema, "/") { // what holds of some values alone
		switch token {
		case "then", "else", "dependentSchemas", "dependencies":
			return false
		}
	}
	for _, token := range f.at {
		if isAny(filled) {
			return false
		}
		filled = within(filled, token)
	}
	switch k := f.kind.(type) {
	case *kind.Type:
		return k.Got != "null" // an interface, or a type that has no more in it
	case *kind.Required, *kind.AdditionalProperties:
		return !isAny(filled)
	case *kind.RefCycle:
		return true
	}
	return false
}

func isAny(v any) bool {
	fields, _ := v.(map[string]any)
	_, any := fields[anyName]
	return any
}

// within is the value at a token of a place.
func within(v any, token string) any {
	switch in := v.(type) {
	case map[string]any:
		return in[token]
	case []any:
		for i, item := range in {
			if fmt.Sprint(i) == token {
				return item
			}
		}
	}
	return nil
}

// fill puts something into each field that is written by the rules of encoding/json. What a
// type writes by a method of its own it leaves alone.
func fill(v reflect.Value, depth int) {
	if depth > deepestFilled || !v.CanSet() {
		return
	}
	if marshals(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		fill(p.Elem(), depth+1)
		v.Set(p)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		fillMap(v, depth)
	default:
		fillPlain(v)
	}
}

func fillMap(v reflect.Value, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	if v.Type().Key().Kind() != reflect.String || marshals(v.Type().Key()) {
		return
	}
	value := reflect.New(v.Type().Elem()).Elem()
	fill(value, depth+1)
	v.SetMapIndex(reflect.ValueOf(anyName).Convert(v.Type().Key()), value)
}

func fillPlain(v reflect.Value) {
	switch {
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(1)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString("a")
	}
}

// marshals tells of a type that it, or a pointer to it, has a method that writes it.
func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t.Kind() != reflect.Pointer && (p.Implements(reflect.TypeFor[json.Marshaler]()) || p.Implements(reflect.TypeFor[encoding.TextMarshaler]()))
}
