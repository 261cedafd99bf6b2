package table

import (
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

// record is a row as it is written: of the rows themselves, or of the children of one.
type record struct {
	key   string
	xmin  uint32 // with which it was found
	value reflect.Value
}

// records are any number of them, which are made when they are looked at.
type records struct {
	n  int
	at func(i int) record
}

// chunks gives them in parts of a size that a statement takes.
func (r records) chunks(yield func([]record) bool) {
	for from := 0; from < r.n; from += writeRows {
		part := make([]record, 0, min(writeRows, r.n-from))
		for i := range cap(part) {
			part = append(part, r.at(from+i))
		}
		if !yield(part) {
			return
		}
	}
}

func identify(part []record) (keys []string, xmins []int64) {
	keys, xmins = make([]string, len(part)), make([]int64, len(part))
	for i, r := range part {
		keys[i], xmins[i] = r.key, int64(r.xmin)
	}
	return keys, xmins
}

// args turns rows into an array a column, the keys first; the last one, where it is
// asked for, is the xmin of each.
func (s *Shape) args(types *pgtype.Map, part []record, xmin bool) ([]any, error) {
	keys, xmins := identify(part)
	args := s.splitAll(keys)
	for i := range s.columns {
		c := &s.columns[i]
		if c.asText {
			texts, err := c.texted(types, part)
			if err != nil {
				return nil, s.refuses(c, err)
			}
			args = append(args, texts)
			continue
		}
		array := reflect.MakeSlice(reflect.SliceOf(c.goType), len(part), len(part))
		for n, r := range part {
			array.Index(n).Set(r.value.FieldByIndex(c.index))
		}
		args = append(args, array.Interface())
	}
	if xmin {
		args = append(args, xmins)
	}
	return args, nil
}

// texted writes each value in Postgres's text form; nil is null.
func (c *column) texted(types *pgtype.Map, part []record) ([]*string, error) {
	oid := c.oid
	if _, known := types.TypeForOID(oid); c.texts {
		oid = pgtype.TextArrayOID
	} else if !known {
		oid = pgtype.TextOID
	}
	texts := make([]*string, len(part))
	for i, r := range part {
		encoded, err := types.Encode(oid, pgtype.TextFormatCode, r.value.FieldByIndex(c.index).Interface(), nil)
		if err != nil {
			return nil, err
		}
		if encoded != nil {
			text := string(encoded)
			texts[i] = &text
		}
	}
	return texts, nil
}
