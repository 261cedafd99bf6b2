package es

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"sync"

	fast "github.com/segmentio/encoding/json"
)

// Decoding is most of what it costs to read events, and encoding/json is six times slower
// than the fastest decoder that reads alike. So that one reads what both would read, and
// encoding/json has the last word: on all that the other refuses, and on deep nesting, for
// which the other takes quadratic time and knows no end.

// maxFastDepth is how deep a payload may be nested for the fast decoder.
const maxFastDepth = 32

// jsonType is a type of event, and whether both decoders agree on it.
type jsonType struct {
	reflect.Type
	schema  int
	strict  bool // see Strict
	alike   bool
	scratch *sync.Pool // of pointers to values of it, which are zero
}

func jsonTypeOf(event Event) jsonType {
	t := reflect.TypeOf(event)
	strict, ok := event.(Strict)
	return jsonType{
		Type: t, schema: SchemaOf(event), strict: ok && strict.EventStrict(), alike: alike(t, map[reflect.Type]bool{}),
		scratch: &sync.Pool{New: func() any { return reflect.New(t).Interface() }},
	}
}

// alike reports a type without pointers to pointers: a field that comes twice, and null
// the second time, is another one then.
func alike(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return true
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer:
		return t.Elem().Kind() != reflect.Pointer && alike(t.Elem(), seen)
	case reflect.Slice, reflect.Array:
		return alike(t.Elem(), seen)
	case reflect.Map:
		return alike(t.Key(), seen) && alike(t.Elem(), seen)
	case reflect.Struct:
		for field := range t.Fields() {
			if !alike(field.Type, seen) {
				return false
			}
		}
	default:
	}
	return true
}

// unmarshal decodes JSON as encoding/json does, and gives take the value that it has made, to
// copy: the memory of most is used again.
func unmarshal(data []byte, goType jsonType, take func(value reflect.Value) error) error {
	if goType.alike && !deep(data) {
		scratch := goType.scratch.Get()
		value := reflect.ValueOf(scratch).Elem()
		if goType.fast(data, scratch) == nil {
			err := take(value)
			value.SetZero()
			goType.scratch.Put(scratch)
			return err
		}
	}
	value := reflect.New(goType.Type) // the other may have filled half of its own
	if err := goType.slow(data, value.Interface()); err != nil {
		return err
	}
	return take(value.Elem())
}

func (t jsonType) fast(data []byte, into any) error {
	if !t.strict {
		return fast.Unmarshal(data, into)
	}
	rest, err := fast.Parse(data, into, fast.DisallowUnknownFields)
	if err == nil && len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		err = errMore
	}
	return err
}

var errMore = errors.New("there is more after the payload")

func (t jsonType) slow(data []byte, into any) error {
	if !t.strict {
		return json.Unmarshal(data, into)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errMore
	}
	return nil
}

// deep reports nesting beyond maxFastDepth. Most payloads have fewer brackets than that.
func deep(data []byte) bool {
	if bytes.Count(data, []byte{'{'})+bytes.Count(data, []byte{'['}) <= maxFastDepth {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxFastDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
