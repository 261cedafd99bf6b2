package estest

import (
	"reflect"
	"time"
)

// deepest is how deep an example is filled in: types may contain themselves.
const deepest = 6

// filled returns a copy of an example in which nothing is zero that can be set.
func filled[E any](example E) E {
	was := reflect.ValueOf(&example).Elem()
	if was.Kind() == reflect.Interface {
		was = was.Elem()
	}
	if !was.IsValid() {
		return example
	}
	value := reflect.New(was.Type()).Elem()
	value.Set(was)
	fill(value, 0)
	out, ok := reflect.TypeAssert[E](value)
	if !ok {
		return example
	}
	return out
}

// fill sets what is zero. What others share with the example is copied before.
func fill(v reflect.Value, depth int) {
	if depth > deepest || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		next := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			next.Elem().Set(v.Elem())
		}
		fill(next.Elem(), depth+1)
		v.Set(next)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			if v.IsZero() {
				v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)))
			}
			return
		}
		for _, field := range v.Fields() {
			fill(field, depth+1)
		}
	case reflect.Slice:
		list := reflect.MakeSlice(v.Type(), max(v.Len(), 1), max(v.Len(), 1))
		reflect.Copy(list, v)
		for i := range list.Len() {
			fill(list.Index(i), depth+1)
		}
		v.Set(list)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		if v.Len() == 0 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, depth+1)
			fill(value, depth+1)
			m := reflect.MakeMap(v.Type())
			m.SetMapIndex(key, value)
			v.Set(m)
		}
	default:
		fillPlain(v)
	}
}

func fillPlain(v reflect.Value) {
	switch {
	case !v.IsZero():
	case v.Kind() == reflect.String:
		v.SetString("text")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(1.5)
	}
}
