package table

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/internal/pg"
)

// A field that can be written to its column and not be read from it would go live, and
// fail with the next batch. So a value of the column's type is read into the field when
// the table is looked at.

// sampleOf is a value of a type as text; false for types that are not tried: those whose
// values depend on the service, and what the field says decides.
func sampleOf(category, name string) (string, bool) {
	if strings.HasPrefix(name, "json") {
		return "", false
	}
	known := map[string]string{
		"bytea": `\x00`, "date": "2000-01-01", "timestamp": "2000-01-01 00:00:00", "timestamptz": "2000-01-01 00:00:00+00",
		"time": "01:02:03", "timetz": "01:02:03+00", "uuid": "00000000-0000-0000-0000-000000000001", "inet": "10.0.0.1", "cidr": "10.0.0.0/8",
		"macaddr": "08:00:2b:01:02:03", "tsvector": "a", "tsquery": "a", "bit": "1", "varbit": "1", "xml": "<a/>", "point": "(1,1)",
	}
	if sample, ok := known[name]; ok {
		return sample, true
	}
	sample, ok := map[string]string{"N": "1", "B": "t", "S": "x", "T": "1 day", "R": "empty"}[category]
	return sample, ok
}

// firstOwnOID is the first oid that Postgres does not use for types of its own.
const firstOwnOID = 16384

// readable reports a field that cannot hold what is read from its column, or a column that
// does not keep what the field holds.
func (s *Shape) readable(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	for i := range s.columns {
		c := &s.columns[i]
		if err := s.lossless(c); err != nil {
			return err
		}
		if sql, ok := c.sampleSQL(); ok {
			batch.Queue(sql).Query(func(rows pgx.Rows) error { return s.try(c, rows) })
		}
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return s.settle()
}

// settle finds what makes values of each column what reading them back gives.
func (s *Shape) settle() error {
	for i := range s.columns {
		c := &s.columns[i]
		canon, err := canonOf(s.types, c)
		if err != nil {
			return fitError("column %s of table %s is %s, %w, or use another type for field %s", c.column, s.Name, c.sqlType, err, c.name)
		}
		if c.canon = canon; canon != nil {
			s.canons = append(s.canons, i)
		}
	}
	return nil
}

// sampleSQL reads a value as a row of the table would be read.
func (c *column) sampleSQL() (string, bool) {
	if c.oid >= firstOwnOID {
		return "", false
	}
	sample, ok := sampleOf(c.category, c.base)
	if c.array {
		sample, ok = sampleOf(c.element, strings.TrimPrefix(c.base, "_"))
		sample = "{" + sample + "}"
	}
	sql := "select " + pg.Literal(sample) + "::text::" + c.baseType
	if c.texts {
		sql += "::text[]"
	}
	return sql, ok
}

// try reads the value into a field.
func (s *Shape) try(c *column, rows pgx.Rows) error {
	into := reflect.New(c.goType)
	for rows.Next() {
		if err := rows.Scan(into.Interface()); err != nil {
			return fitError("column %s of table %s is %s, which cannot be read into field %v of %s: %w: change one of them", c.column, s.Name, c.sqlType, c.goType, c.name, err)
		}
	}
	return rows.Err()
}

// lossless refuses pairs in which a number comes back as another.
func (s *Shape) lossless(c *column) error {
	t := c.goType
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case c.oid == pgtype.Float4OID && t.Kind() == reflect.Float64:
		return fitError("column %s of table %s is real, which does not keep a float64: use double precision, or a float32", c.column, s.Name)
	case c.oid == pgtype.NumericOID && c.modifier >= 0 && (t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32):
		return fitError("column %s of table %s is numeric with a scale, which rounds a %s: leave the scale out, or count in whole units as an int64", c.column, s.Name, t)
	}
	return nil
}

// MismatchError is a row type and a table that do not fit, with what to do.
type MismatchError struct{ error }

// Error names types that the DDL has made as the DDL does.
func (m MismatchError) Error() string { return strings.ReplaceAll(m.error.Error(), here, "") }

// Unwrap returns what it wraps.
func (m MismatchError) Unwrap() error { return m.error }

func fitError(format string, args ...any) error { return MismatchError{fmt.Errorf(format, args...)} }
