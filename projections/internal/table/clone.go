package table

import (
	"math/big"
	"reflect"
	"sync"
	"time"
)

// A change that fails half way leaves the row as it was before. So a copy is taken first,
// with all that Apply could change in place: what slices, maps and pointers lead to. Most
// row types have none of those, and their copy is an assignment.

// clone copies a value.
func clone[R any](value *R, deep bool) R {
	copied := *value
	if deep {
		deepen(reflect.ValueOf(&copied).Elem())
	}
	return copied
}

// leads reports types whose values lead to what can be changed in place.
func leads(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
		return true
	case reflect.Array:
		return leads(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() { // its location is nobody's to change
			return false
		}
		known, ok := leading.Load(t)
		if !ok {
			known = anyLeads(t)
			leading.Store(t, known)
		}
		return known.(bool) //nolint:forcetypeassert // just stored
	default:
		return false
	}
}

//nolint:gochecknoglobals // what is known of types
var leading sync.Map // of structs

func anyLeads(t reflect.Type) bool {
	for field := range t.Fields() {
		if leads(field.Type) {
			return true
		}
	}
	return false
}

// deepen makes what a value leads to its own.
func deepen(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		if leads(v.Type().Elem()) {
			for i := range own.Len() {
				deepen(own.Index(i))
			}
		}
		v.Set(own)
	case reflect.Map:
		if v.IsNil() {
			return
		}
		own := reflect.MakeMapWithSize(v.Type(), v.Len())
		for iter := v.MapRange(); iter.Next(); {
			own.SetMapIndex(iter.Key(), deepened(iter.Value()))
		}
		v.Set(own)
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if n, ok := reflect.TypeAssert[*big.Int](v); ok {
			v.Set(reflect.ValueOf(new(big.Int).Set(n)))
			return
		}
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(deepened(v.Elem()))
		v.Set(own)
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(deepened(v.Elem()))
		}
	case reflect.Array:
		for i := range v.Len() {
			deepen(v.Index(i))
		}
	case reflect.Struct:
		deepenFields(v)
	default:
	}
}

// deepenFields leaves out what is private, which has no column. Of an embedded struct
// of a private type, public fields are not.
func deepenFields(v reflect.Value) {
	for field, f := range v.Fields() {
		if (f.CanSet() || field.Anonymous && f.Kind() == reflect.Struct) && leads(f.Type()) {
			deepen(f)
		}
	}
}

// deepened is a copy of a value that cannot be set.
func deepened(v reflect.Value) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	if leads(v.Type()) {
		deepen(own)
	}
	return own
}
