package projections

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
)

// loadSQL returns the statement that reads the touched rows by their primary key,
// with the key as it was asked for. Bind: $1 keys as text.
func (s *shape) loadSQL(t target) string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = ", t." + quote(c.column)
		if c.texts {
			names[i] += "::text[]"
		}
	}
	return t.tagged(fmt.Sprintf(`select u.k%s from unnest($1::text[]) u (k) join %s t on t.%s = u.k::%s`,
		strings.Join(names, ""), s.qualified(t), quote(s.key), s.keyType))
}

func (s *shape) qualified(t target) string { return pgx.Identifier{t.schema, s.table}.Sanitize() }

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// load reads the rows that the batch touches.
func (f *folder[R, E]) load(ctx context.Context, tx pgx.Tx, t target, rows *rows[R]) error {
	result, err := tx.Query(ctx, f.shape.loadSQL(t), rows.keys())
	if err != nil {
		return fmt.Errorf("load rows of %s: %w", f.shape.table, err)
	}
	defer result.Close()
	var key string
	into := make([]any, 1+len(f.shape.columns))
	into[0] = &key
	for result.Next() {
		value := new(R)
		v := reflect.ValueOf(value).Elem()
		for i, c := range f.shape.columns {
			into[i+1] = v.FieldByIndex(c.index).Addr().Interface()
		}
		if err := result.Scan(into...); err != nil {
			return fmt.Errorf("load a row of %s into %T: %w", f.shape.table, value, err)
		}
		if err := f.shape.setKey(tx, v, key); err != nil {
			return err
		}
		f.shape.canonical(v)
		row := rows.byKey[key]
		row.value, row.stored = value, true
	}
	if err := result.Err(); err != nil {
		return fmt.Errorf("load rows of %s: %w", f.shape.table, err)
	}
	return nil
}
