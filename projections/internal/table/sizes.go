package table

import (
	"reflect"
)

// sizes estimates how much memory rows take, from a look at some of them.
type sizes struct {
	changes, looked, bytes int
}

// sampleEvery is how many changes pass before a row is looked at again.
const sampleEvery = 64

// overhead is what a row takes beside its value and what that leads to, by the heap of a
// million rows: a Row, its place in the map, its place among those to be written.
const overhead = 112

// sample looks at a row, and at those of its children of which there is a copy.
func (s *sizes) sample(row reflect.Value, copied []child) {
	if s.changes++; s.changes%sampleEvery != 1 {
		return
	}
	s.looked++
	s.bytes += int(row.Type().Size()) + beyond(row)
	for i := range copied {
		s.bytes += beyond(row.FieldByIndex(copied[i].list.index))
	}
}

// add takes what another has seen.
func (s *sizes) add(other *sizes) {
	s.changes, s.looked, s.bytes = s.changes+other.changes, s.looked+other.looked, s.bytes+other.bytes
}

// row is what a row takes.
func (s *sizes) row() int { return overhead + s.bytes/max(s.looked, 1) }

// beyond is the memory that a value leads to.
func beyond(v reflect.Value) int {
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Slice:
		n := v.Cap() * int(v.Type().Elem().Size())
		if plain(v.Type().Elem()) {
			return n
		}
		for i := range v.Len() {
			n += beyond(v.Index(i))
		}
		return n
	case reflect.Map:
		n := 0
		for iter := v.MapRange(); iter.Next(); {
			n += 2*int(v.Type().Key().Size()+v.Type().Elem().Size()) + beyond(iter.Key()) + beyond(iter.Value())
		}
		return n
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int(v.Elem().Type().Size()) + beyond(v.Elem())
	case reflect.Struct:
		n := 0
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() { // as of time.Time: not the row's own
				continue
			}
			n += beyond(v.Field(i))
		}
		return n
	default:
		return 0
	}
}

func plain(t reflect.Type) bool { return t.Kind() <= reflect.Complex128 }
