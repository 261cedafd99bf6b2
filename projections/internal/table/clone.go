package table

import (
	"reflect"
	"sync"
	"time"
)

// A change that fails half way leaves the row as it was before. So a copy is taken first,
// with all that Apply could change in place: what slices, maps and pointers lead to. Most
// row types have none of those, and their copy is an assignment. Of what a type hides, slices
// and maps are copied; a hidden pointer may lead to what must stay one, as a netip.Addr's does.

// clone copies a value.
func clone[R any](value *R, deep bool) R {
	copied := *value
	if deep {
		deepen(reflect.ValueOf(&copied).Elem(), false)
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

// deepen makes what a value leads to its own, but for the pointers of one that is hidden.
func deepen(v reflect.Value, hidden bool) {
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		if leads(v.Type().Elem()) {
			for i := range own.Len() {
				deepen(own.Index(i), hidden)
			}
		}
		v.Set(own)
	case reflect.Map:
		if v.IsNil() {
			return
		}
		own := reflect.MakeMapWithSize(v.Type(), v.Len())
		for iter := v.MapRange(); iter.Next(); {
			own.SetMapIndex(iter.Key(), deepened(iter.Value(), hidden))
		}
		v.Set(own)
	case reflect.Pointer:
		if v.IsNil() || hidden {
			return
		}
		own := reflect.New(v.Type().Elem())
		own.Elem().Set(deepened(v.Elem(), false))
		v.Set(own)
	case reflect.Interface:
		if !v.IsNil() && !hidden {
			v.Set(deepened(v.Elem(), false))
		}
	case reflect.Array:
		for i := range v.Len() {
			deepen(v.Index(i), hidden)
		}
	case reflect.Struct:
		deepenFields(v, hidden)
	default:
	}
}

// deepenFields does so with the fields of a struct.
func deepenFields(v reflect.Value, hidden bool) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case !leads(f.Type()):
		case f.CanSet():
			deepen(f, hidden)
		default:
			embedded := v.Type().Field(i).Anonymous // and its fields are the struct's
			deepen(reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem(), hidden || !embedded)
		}
	}
}

// deepened is a copy of a value that cannot be set.
func deepened(v reflect.Value, hidden bool) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	if leads(v.Type()) {
		deepen(own, hidden)
	}
	return own
}
