package table

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/internal/pg"
)

// ErrStale: somebody else has changed a row since it was looked up. Forget the rows and
// fold again.
var ErrStale = errors.New("a row is not what it was when it was read")

// copyFrom is the number of new rows from which COPY into an otherwise unused table
// beats an insert.
const copyFrom = 500

// writeRows bounds the rows of one statement, so that its arrays stay small.
const writeRows = 10_000

// How says how rows are written.
type How struct {
	Alone bool // nobody else uses the table: COPY may be used
	// Moves: a unique value moves from one row to another. Rows are written one after the
	// other, so the second could come first, and would be refused: then the rows that
	// change are deleted before, and written as new ones.
	Moves bool
}

// changes are the rows that are to be written, by what is to be done.
type changes[R any] struct{ gone, added, changed []*Row[R] }

func (rs *Rows[R]) changes(how How) (c changes[R]) {
	for _, r := range rs.dirty {
		switch {
		case !r.Exists && r.found == present:
			c.gone = append(c.gone, r)
		case !r.Exists:
		case r.found != present:
			c.added = append(c.added, r)
		case how.Moves || r.removed:
			c.gone, c.added = append(c.gone, r), append(c.added, r)
		default:
			c.changed = append(c.changed, r)
		}
	}
	return c
}

// Write queues what has changed: deletes first, then updates, then new rows, a statement
// each. Of tables that nobody else uses it writes many rows at once, in the connection's
// transaction, new ones by COPY. A row that
// somebody else has changed makes the batch fail with [ErrStale].
func (rs *Rows[R]) Write(ctx context.Context, conn *pgx.Conn, out *pgx.Batch, how How) error {
	c := rs.changes(how)
	if how.Alone && rs.shape.copies && len(c.added) >= copyFrom {
		if err := rs.writeNew(ctx, conn, c); err != nil {
			return err
		}
		c.gone, c.added = nil, nil
	}
	if len(c.gone)+len(c.added)+len(c.changed) > 0 {
		out.Queue(PlannedSQL)
	}
	rs.queueDelete(out, c.gone)
	for _, w := range []struct {
		rows []*Row[R]
		sql  string
		xmin bool
	}{{c.changed, rs.shape.updateSQL(rs.place), !rs.shape.triggers}, {c.added, rs.shape.insertSQL(rs.place), false}} {
		for part := range chunks(w.rows) {
			if err := rs.queue(conn.TypeMap(), out, part, w.sql, w.xmin); err != nil {
				return err
			}
			if !how.Alone || len(part) < writeRows {
				continue
			}
			if err := conn.SendBatch(ctx, out).Close(); err != nil { // there may be many more
				return fmt.Errorf("write rows of %s: %w", rs.shape.Name, err)
			}
			*out = pgx.Batch{}
		}
	}
	return nil
}

// writeNew copies new rows, after those are deleted that are gone: COPY does not wait for
// a batch.
func (rs *Rows[R]) writeNew(ctx context.Context, conn *pgx.Conn, c changes[R]) error {
	if len(c.gone) > 0 {
		first := &pgx.Batch{}
		rs.queueDelete(first, c.gone)
		if err := conn.SendBatch(ctx, first).Close(); err != nil {
			return fmt.Errorf("delete rows of %s: %w", rs.shape.Name, err)
		}
	}
	if rs.blank && len(c.added) >= withoutFrom {
		return without(ctx, conn, rs.shape.qualified(rs.place), func() error { return rs.copy(ctx, conn, c.added) })
	}
	return rs.copy(ctx, conn, c.added)
}

// queue adds a statement that writes rows.
func (rs *Rows[R]) queue(types *pgtype.Map, out *pgx.Batch, rows []*Row[R], sql string, xmin bool) error {
	args, err := rs.args(types, rows, xmin)
	if err == nil {
		out.Queue(sql, args...).Exec(rs.expect(len(rows)))
	}
	return err
}

func chunks[T any](list []T) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(list) > 0 {
			n := min(len(list), writeRows)
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// expect refuses a statement that has not written all of its rows. Where triggers decide
// what is written, nothing is expected.
func (rs *Rows[R]) expect(rows int) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(rows) && !rs.shape.triggers {
			return fmt.Errorf("%w: %d of %d rows of %s were written", ErrStale, tag.RowsAffected(), rows, rs.shape.Name)
		}
		return nil
	}
}

func (rs *Rows[R]) queueDelete(out *pgx.Batch, gone []*Row[R]) {
	for part := range chunks(gone) {
		keys, xmins := identify(part)
		out.Queue(rs.shape.deleteSQL(rs.place), append(rs.shape.splitAll(keys), xmins)...).Exec(rs.expect(len(part)))
	}
}

func identify[R any](rows []*Row[R]) (keys []string, xmins []int64) {
	keys, xmins = make([]string, len(rows)), make([]int64, len(rows))
	for i, r := range rows {
		keys[i], xmins[i] = r.key, int64(r.xmin)
	}
	return keys, xmins
}

func (rs *Rows[R]) copy(ctx context.Context, conn *pgx.Conn, added []*Row[R]) error {
	names := rs.shape.keyNames()
	for _, c := range rs.shape.columns {
		names = append(names, c.column)
	}
	values, parts := make([]any, len(names)), []string(nil)
	i := 0
	source := pgx.CopyFromFunc(func() ([]any, error) {
		if i == len(added) {
			return nil, nil
		}
		v := reflect.ValueOf(&added[i].Value).Elem()
		parts = rs.shape.split(added[i].key, parts[:0])
		for n, part := range parts {
			values[n] = part
		}
		for n := range rs.shape.columns {
			values[len(rs.shape.keys)+n] = v.FieldByIndex(rs.shape.columns[n].index).Interface()
		}
		i++
		return values, nil
	})
	_, err := conn.CopyFrom(ctx, pgx.Identifier{rs.place.Schema, rs.shape.Name}, names, source)
	switch {
	case err == nil:
		return nil
	case pg.Is(err, pg.QueryCanceled) && strings.Contains(err.Error(), "encode"): // by the driver
		return valueError{fmt.Errorf("copy rows into %s: %w", rs.shape.Name, err)}
	default:
		return fmt.Errorf("copy rows into %s: %w", rs.shape.Name, err)
	}
}

// args turns rows into an array a column, the keys first; the last one, where it is
// asked for, is the xmin of each.
func (rs *Rows[R]) args(types *pgtype.Map, rows []*Row[R], xmin bool) ([]any, error) {
	keys, xmins := identify(rows)
	args := rs.shape.splitAll(keys)
	for i := range rs.shape.columns {
		c := &rs.shape.columns[i]
		if c.asText {
			texts, err := textColumn(types, c, rows)
			if err != nil {
				return nil, valueError{fmt.Errorf("column %s of %s: %w", c.column, rs.shape.Name, err)}
			}
			args = append(args, texts)
			continue
		}
		array := reflect.MakeSlice(reflect.SliceOf(c.goType), len(rows), len(rows))
		for n, r := range rows {
			array.Index(n).Set(reflect.ValueOf(&r.Value).Elem().FieldByIndex(c.index))
		}
		args = append(args, array.Interface())
	}
	if xmin {
		args = append(args, xmins)
	}
	return args, nil
}

// textColumn writes each value in Postgres's text form; nil is null.
func textColumn[R any](types *pgtype.Map, c *column, rows []*Row[R]) ([]*string, error) {
	oid := c.oid
	if _, known := types.TypeForOID(oid); c.texts {
		oid = pgtype.TextArrayOID
	} else if !known {
		oid = pgtype.TextOID
	}
	texts := make([]*string, len(rows))
	for i, r := range rows {
		value := reflect.ValueOf(&r.Value).Elem().FieldByIndex(c.index).Interface()
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
