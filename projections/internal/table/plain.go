package table

import (
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Writing a document and reading it takes microseconds, and most documents are of types
// that JSON keeps as they are: structs, slices and maps of numbers and texts. For these a
// look at the values is enough.

// kept reports a value that JSON keeps as it is.
type kept func(v reflect.Value) bool

func always(reflect.Value) bool { return true }

// keptBy returns how to see that JSON keeps values of a type, and nil for types of which it
// is not known.
func keptBy(t reflect.Type, within ...reflect.Type) kept {
	if slices.Contains(within, t) {
		return nil
	}
	within = append(slices.Clip(within), t)
	switch {
	case t == reflect.TypeFor[time.Time]():
		return keptTime
	case t == reflect.TypeFor[uuid.UUID]():
		return always
	case marshals(t) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) || t == reflect.TypeFor[json.Number]():
		return nil
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return always
	case reflect.Float32, reflect.Float64:
		return func(v reflect.Value) bool { f := v.Float(); return (f != 0 || !math.Signbit(f)) && f-f == 0 }
	case reflect.String:
		return func(v reflect.Value) bool { return utf8.ValidString(v.String()) }
	case reflect.Slice, reflect.Array:
		return keptList(t, within)
	case reflect.Map:
		return keptMap(t, within)
	case reflect.Pointer:
		return keptPointer(t, within)
	case reflect.Struct:
		return keptStruct(t, within)
	default:
		return nil
	}
}

// keptTime: the zone is written as an offset, and what a monotonic clock has said is not
// written.
func keptTime(v reflect.Value) bool {
	at, ok := reflect.TypeAssert[time.Time](v)
	if !ok || at.Location() != time.UTC || at.Year() < 0 || at.Year() > 9999 {
		return false
	}
	return at == at.Round(0) //nolint:staticcheck // Equal does not see the monotonic clock
}

func keptList(t reflect.Type, within []reflect.Type) kept {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return always // as base64
	}
	each := keptBy(t.Elem(), within...)
	if each == nil {
		return nil
	}
	return func(v reflect.Value) bool {
		for i := range v.Len() {
			if !each(v.Index(i)) {
				return false
			}
		}
		return true
	}
}

func keptMap(t reflect.Type, within []reflect.Type) kept {
	each := keptBy(t.Elem(), within...)
	if each == nil || t.Key().Kind() != reflect.String || keptBy(t.Key(), within...) == nil {
		return nil
	}
	return func(v reflect.Value) bool {
		for iter := v.MapRange(); iter.Next(); {
			if !utf8.ValidString(iter.Key().String()) || !each(iter.Value()) {
				return false
			}
		}
		return true
	}
}

// keptPointer: what a pointer to nothing leads to is written as the pointer is that leads
// nowhere.
func keptPointer(t reflect.Type, within []reflect.Type) kept {
	switch t.Elem().Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer:
		return nil
	default:
	}
	each := keptBy(t.Elem(), within...)
	if each == nil {
		return nil
	}
	return func(v reflect.Value) bool { return v.IsNil() || each(v.Elem()) }
}

// keptStruct knows structs whose fields are all written, each by a name of its own.
func keptStruct(t reflect.Type, within []reflect.Type) kept {
	names := map[string]bool{}
	fields := make([]kept, t.NumField())
	for i := range fields {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		name = strings.ToLower(name) // as they are read
		if !f.IsExported() || f.Anonymous || name == "-" || names[name] || options != "" && options != "omitempty" {
			return nil
		}
		names[name] = true
		if fields[i] = keptBy(f.Type, within...); fields[i] == nil {
			return nil
		}
		if list := f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map; list && options != "" {
			each := fields[i]
			fields[i] = func(v reflect.Value) bool { return (v.IsNil() || v.Len() > 0) && each(v) }
		}
	}
	return func(v reflect.Value) bool {
		for i, each := range fields {
			if !each(v.Field(i)) {
				return false
			}
		}
		return true
	}
}

// seesText reports a type that may see how a document is written, as its keys' order or the
// form of a number.
func seesText(t reflect.Type, within ...reflect.Type) bool {
	if slices.Contains(within, t) {
		return false
	}
	within = append(slices.Clip(within), t)
	switch {
	case t == reflect.TypeFor[time.Time]():
		return false
	case t == reflect.TypeFor[json.Number]() || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) || converts(t) && t != reflect.TypeFor[uuid.UUID]():
		return true
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Pointer, reflect.Map:
		return seesText(t.Elem(), within...)
	case reflect.Struct:
		for f := range t.Fields() {
			if seesText(f.Type, within...) {
				return true
			}
		}
	default:
	}
	return false
}
