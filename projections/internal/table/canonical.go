package table

import (
	"bytes"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Between two batches a row is written and read back, within one it stays in memory. So
// that it is the same whatever the batches, what Apply has put into a field is made what
// reading it back gives: it is written as for the database, changed as the database would
// change it, and read. Pairs of a column and a field that keep every value are left alone.
// Pairs of which nobody here knows what the database makes are refused.

// canon makes the value of a field what reading it back gives; nil where it is that
// already.
type canon func(types *pgtype.Map, field reflect.Value) error

// canonOf returns the canon of a column, or why the field does not fit it.
func canonOf(types *pgtype.Map, c *column) (canon, error) {
	k := kind{base: c.base, category: c.category, oid: c.oid, modifier: c.modifier, name: c.baseType}
	if c.array {
		k.base, k.category, k.oid = c.base[1:], c.element, elementOID(types, c.oid)
	}
	if _, known := types.TypeForOID(k.oid); !known {
		k.oid, k.own = pgtype.TextOID, true
	}
	if c.array {
		return k.list(c.goType)
	}
	return k.canon(c.goType)
}

func elementOID(types *pgtype.Map, array uint32) uint32 {
	if t, known := types.TypeForOID(array); known {
		if codec, ok := t.Codec.(*pgtype.ArrayCodec); ok {
			return codec.ElementType.OID
		}
	}
	return 0
}

// kind is a type of the database as values of it are kept.
type kind struct {
	base, category string // pg_type.typname, typcategory
	name           string // as it is written
	oid            uint32 // with which pgx writes and reads it
	own            bool   // of the service or an extension: as text
	modifier       int32  // pg_attribute.atttypmod; -1: none
}

// list is canon for the elements of an array.
func (k kind) list(t reflect.Type) (canon, error) {
	if t.Kind() == reflect.Pointer {
		inner, err := k.list(t.Elem())
		if inner == nil || err != nil {
			return nil, err
		}
		return pointed(inner), nil
	}
	if t.Kind() != reflect.Slice {
		return nil, fmt.Errorf("whose values go into a slice, and %v is none", t)
	}
	var each canon
	var err error
	if e := t.Elem(); e.Kind() == reflect.Slice && e.Elem().Kind() != reflect.Uint8 && !k.json() {
		each, err = k.list(e)
	} else {
		each, err = k.canon(e)
	}
	if each == nil || err != nil {
		return nil, err
	}
	return func(types *pgtype.Map, field reflect.Value) error {
		if field.Len() == 0 {
			return nil
		}
		own := reflect.MakeSlice(field.Type(), field.Len(), field.Len()) // the slice may be somebody else's
		reflect.Copy(own, field)
		for i := range own.Len() {
			if err := each(types, own.Index(i)); err != nil {
				return err
			}
		}
		field.Set(own)
		return nil
	}, nil
}

func (k kind) canon(t reflect.Type) (canon, error) {
	if k.exact(t) {
		return nil, nil
	}
	if k.json() {
		return k.document(t)
	}
	if t.Kind() == reflect.Pointer {
		inner, err := k.canon(t.Elem())
		if inner == nil || err != nil {
			return nil, err
		}
		return pointed(inner), nil
	}
	text := t.Kind() == reflect.String
	change, known := k.made(text)
	if !known {
		return nil, fmt.Errorf("of which the database may make another value than a %v has: make the column text or jsonb, and generate one of type %s from it", t, k.name)
	}
	if keep := k.moment(); keep != nil && t == reflect.TypeFor[time.Time]() {
		return func(_ *pgtype.Map, field reflect.Value) error {
			at := field.Addr().Interface().(*time.Time) //nolint:forcetypeassert // just looked at
			*at = keep(*at)
			return nil
		}, nil
	}
	format := int16(pgtype.BinaryFormatCode)
	if text || k.asText() {
		format = pgtype.TextFormatCode
	}
	back := k.readBack(format, change)
	if k.base == "numeric" && t == reflect.TypeFor[pgtype.Numeric]() {
		return unless(k.keptNumber, back), nil
	}
	return back, nil
}

// pointed is a canon for what a pointer leads to, which may be somebody else's.
func pointed(inner canon) canon {
	return func(types *pgtype.Map, field reflect.Value) error {
		if field.IsNil() {
			return nil
		}
		own := reflect.New(field.Type().Elem())
		own.Elem().Set(field.Elem())
		err := inner(types, own.Elem())
		field.Set(own)
		return err
	}
}

// readBack writes a value, makes of it what the database would, and reads it. What is read
// must be written so that it is read as the same again: it is what the table will get.
func (k kind) readBack(format int16, changed made) canon {
	return k.readBackBut(format, changed, func(reflect.Value) error { return nil })
}

// readBackBut is readBack that refuses some of what it reads.
func (k kind) readBackBut(format int16, changed made, refuse func(read reflect.Value) error) canon {
	way := way{k.oid, format, changed}
	return func(types *pgtype.Map, field reflect.Value) error {
		wire, err := way.write(types, field)
		if err != nil {
			return err
		}
		read, err := way.read(types, wire, field.Type())
		if err == nil {
			err = refuse(read)
		}
		if err != nil {
			return err
		}
		again, err := way.write(types, read)
		if err != nil {
			return err
		}
		if !bytes.Equal(wire, again) {
			last, err := way.read(types, again, field.Type())
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(read.Interface(), last.Interface()) {
				return fmt.Errorf("a %v is written, and read as another: its methods that write and read, as MarshalJSON and UnmarshalJSON, must be the reverse of each other", field.Type())
			}
		}
		field.Set(read)
		return nil
	}
}

// way is that of a value into a column and back.
type way struct {
	oid     uint32
	format  int16
	changed made
}

func (w way) write(types *pgtype.Map, value reflect.Value) ([]byte, error) {
	wire, err := types.Encode(w.oid, w.format, value.Interface(), make([]byte, 0, 64))
	if err == nil && wire != nil && w.changed != nil {
		wire, err = w.changed(wire)
	}
	return wire, err
}

func (w way) read(types *pgtype.Map, wire []byte, as reflect.Type) (reflect.Value, error) {
	into := reflect.New(as)
	err := types.Scan(w.oid, w.format, wire, into.Interface())
	return into.Elem(), err
}

// canonical makes a row what reading it back gives. A value that cannot be written is an
// error.
func (s *Shape) canonical(row reflect.Value) error {
	if len(s.canons) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.canons {
		c := &s.columns[i]
		if err := c.canon(s.types, row.FieldByIndex(c.index)); err != nil {
			return valueError{fmt.Errorf("column %s of %s: %w", c.column, s.Name, err)}
		}
	}
	return nil
}
