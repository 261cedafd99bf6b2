package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

// Columns of type json and jsonb hold what encoding/json writes of a value, or a text that
// the service writes itself.

// document is canon for such a column.
func (k kind) document(t reflect.Type) (canon, error) {
	change := made(nil)
	if k.base == "jsonb" {
		change = jsonb
	}
	switch {
	case t == reflect.TypeFor[string]() || t == reflect.TypeFor[[]byte]():
		if change == nil {
			return nil, nil
		}
		return rewritten(change), nil
	case t == reflect.TypeFor[json.RawMessage]():
		if change == nil {
			change = trimmed
		}
		return rewritten(change), nil
	case text(t) && !converts(t) && !marshals(t):
		return nil, errors.New("which takes it for a text in JSON and cannot read it back: make it a string, a []byte or a json.RawMessage, or give it MarshalJSON and UnmarshalJSON")
	case t.Kind() == reflect.Interface:
		return k.readBackBut(pgtype.TextFormatCode, change, structured), nil
	case t.Kind() == reflect.Pointer && text(pointedTo(t)):
		return k.readBack(pgtype.TextFormatCode, change), nil
	case change != nil && !seesText(t):
		return unless(keptBy(t), k.readBack(pgtype.TextFormatCode, unseen)), nil
	default:
		return unless(keptBy(t), k.readBack(pgtype.TextFormatCode, change)), nil
	}
}

// unless leaves values alone that are kept.
func unless(kept kept, otherwise canon) canon {
	if kept == nil {
		return otherwise
	}
	return func(types *pgtype.Map, field reflect.Value) error {
		if kept(field) {
			return nil
		}
		return otherwise(types, field)
	}
}

// unseen is jsonb for types that cannot see how a document is written. Only a zero with a
// sign, which jsonb has not, is another value to them.
func unseen(text []byte) ([]byte, error) {
	if bytes.Contains(text, []byte("-0")) {
		return jsonb(text)
	}
	return text, nil
}

// text reports a type whose values the driver may take for a text in JSON.
func text(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func pointedTo(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// structured refuses a text in an interface: it is written as JSON, and read as what that
// says, which then would be written as JSON.
func structured(read reflect.Value) error {
	if e := read.Elem(); e.IsValid() && e.Kind() == reflect.String {
		return errors.New("a string in an interface is taken for JSON: make the field a string or a struct, or put it into a map")
	}
	return nil
}

// marshals reports a type that writes its JSON itself.
func marshals(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// trimmed is a text as it is read into a json.RawMessage.
func trimmed(text []byte) ([]byte, error) { return bytes.TrimSpace(text), nil }

// rewritten is a canon for texts that the database rewrites.
func rewritten(change made) canon {
	return func(_ *pgtype.Map, field reflect.Value) error {
		if field.Kind() == reflect.String {
			text, err := change([]byte(field.String()))
			field.SetString(string(text))
			return err
		}
		if field.IsNil() {
			return nil
		}
		text, err := change(append(make([]byte, 0, field.Len()), field.Bytes()...))
		field.SetBytes(text)
		return err
	}
}
