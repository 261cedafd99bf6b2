package projections

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// copyFrom is the number of new rows from which COPY into an otherwise unused table
// beats the upsert.
const copyFrom = 500

// upsertRows bounds the rows of one upsert, so that its arrays stay small.
const upsertRows = 10_000

// write puts the batch's rows into the table: COPY for many new ones in tables that
// nobody else uses, one upsert for the others, one delete before them. Rows are written
// one after the other, so where a unique value moves from one to another, the second can
// come first, and is refused: then the rows that change are deleted too, and written as
// new ones.
func (f *folder[R, E]) write(ctx context.Context, tx pgx.Tx, t target, rows *rows[R], out *pgx.Batch) error {
	gone, added, changed := rows.split()
	if t.moves {
		for _, r := range changed {
			gone = append(gone, r.key)
		}
		added, changed = append(added, changed...), nil
	}
	copies := t.bulk && f.shape.copies && len(added) >= copyFrom
	switch {
	case len(gone) > 0 && copies: // COPY does not wait for the batch
		if _, err := tx.Exec(ctx, f.shape.deleteSQL(t), gone); err != nil {
			return fmt.Errorf("delete rows of %s: %w", f.shape.table, err)
		}
	case len(gone) > 0:
		out.Queue(f.shape.deleteSQL(t), gone)
	}
	if copies {
		if err := f.copy(ctx, tx, t, added); err != nil {
			return err
		}
	} else {
		changed = append(changed, added...)
	}
	for len(changed) > 0 {
		n := min(len(changed), upsertRows)
		args, err := f.upsertArgs(tx.Conn().TypeMap(), changed[:n])
		if err != nil {
			return err
		}
		out.Queue(f.shape.upsertSQL(t), args...)
		changed = changed[n:]
	}
	return nil
}

func (f *folder[R, E]) copy(ctx context.Context, tx pgx.Tx, t target, added []*row[R]) error {
	names := []string{f.shape.key}
	for _, c := range f.shape.columns {
		names = append(names, c.column)
	}
	values := make([]any, len(names))
	i := 0
	source := pgx.CopyFromFunc(func() ([]any, error) {
		if i == len(added) {
			return nil, nil
		}
		v := reflect.ValueOf(added[i].value).Elem()
		values[0] = added[i].key
		for n, c := range f.shape.columns {
			values[n+1] = v.FieldByIndex(c.index).Interface()
		}
		i++
		return values, nil
	})
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.schema, f.shape.table}, names, source); err != nil {
		return fmt.Errorf("copy rows into %s: %w", f.shape.table, err)
	}
	return nil
}

// deleteSQL removes rows by primary key. Bind: $1 keys as text.
func (s *shape) deleteSQL(t target) string {
	return t.tagged(fmt.Sprintf(`delete from %s where %s in (select k::%s from unnest($1::text[]) u (k))`,
		s.qualified(t), quote(s.key), s.keyType))
}

// upsertSQL writes any number of rows in one statement. Bind: an array a column,
// the keys as text first.
func (s *shape) upsertSQL(t target) string {
	var names, arrays, values, sets []string
	for i, c := range s.columns {
		name := quote(c.column)
		names = append(names, ", "+name)
		sets = append(sets, name+" = excluded."+name)
		if c.asText {
			arrays = append(arrays, fmt.Sprintf(", $%d::text[]", i+2))
			values = append(values, fmt.Sprintf(", c%d::%s", i, c.sqlType))
		} else {
			arrays = append(arrays, fmt.Sprintf(", $%d::%s[]", i+2, c.sqlType))
			values = append(values, fmt.Sprintf(", c%d", i))
		}
	}
	aliases := make([]string, len(s.columns))
	for i := range aliases {
		aliases[i] = fmt.Sprintf(", c%d", i)
	}
	action := "nothing"
	if len(sets) > 0 {
		action = "update set " + strings.Join(sets, ", ")
	}
	return t.tagged(fmt.Sprintf(`insert into %s (%s%s) select k::%s%s from unnest($1::text[]%s) u (k%s) on conflict (%s) do %s`,
		s.qualified(t), quote(s.key), strings.Join(names, ""), s.keyType, strings.Join(values, ""),
		strings.Join(arrays, ""), strings.Join(aliases, ""), quote(s.key), action))
}

// upsertArgs turns rows into an array a column.
func (f *folder[R, E]) upsertArgs(types *pgtype.Map, list []*row[R]) ([]any, error) {
	keys := make([]string, len(list))
	for i, r := range list {
		keys[i] = r.key
	}
	args := []any{keys}
	for _, c := range f.shape.columns {
		if c.asText {
			texts, err := textColumn(types, c, list)
			if err != nil {
				return nil, valueError{fmt.Errorf("column %s of %s: %w", c.column, f.shape.table, err)}
			}
			args = append(args, texts)
			continue
		}
		array := reflect.MakeSlice(reflect.SliceOf(c.goType), len(list), len(list))
		for i, r := range list {
			array.Index(i).Set(reflect.ValueOf(r.value).Elem().FieldByIndex(c.index))
		}
		args = append(args, array.Interface())
	}
	return args, nil
}

// textColumn writes each value in Postgres's text form; nil is null.
func textColumn[R any](types *pgtype.Map, c column, list []*row[R]) ([]*string, error) {
	oid := c.oid
	if _, known := types.TypeForOID(oid); c.texts {
		oid = pgtype.TextArrayOID
	} else if !known {
		oid = pgtype.TextOID
	}
	texts := make([]*string, len(list))
	for i, r := range list {
		value := reflect.ValueOf(r.value).Elem().FieldByIndex(c.index).Interface()
		encoded, err := types.Encode(oid, pgtype.TextFormatCode, value, nil)
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
