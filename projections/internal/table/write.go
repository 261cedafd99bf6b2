package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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

// changes are what is to be written to a table, by what is to be done.
type changes struct {
	*Shape
	gone, changed, added records
}

// Write queues what has changed: deletes first, then updates, then new rows, a statement
// each; those of child rows before the deletes, and after the others. Of tables that nobody
// else uses it writes many rows at once, in the connection's transaction, new ones by COPY.
// A row that somebody else has changed makes the batch fail with [ErrStale].
func (rs *Rows[R]) Write(ctx context.Context, conn *pgx.Conn, out *pgx.Batch, how How) error {
	rs.how = how
	all := rs.changes(how)
	gone, added, changed := 0, 0, 0
	for _, c := range all {
		gone, added, changed = gone+c.gone.n, added+c.added.n, changed+c.changed.n
	}
	if gone+added+changed == 0 {
		return nil
	}
	w := writer{conn, out, rs.place, how.Alone}
	copies := how.Alone && rs.shape.copies && added >= copyFrom
	if copies && gone > 0 {
		w.out = &pgx.Batch{} // COPY does not wait for a batch
	}
	w.out.Queue(PlannedSQL)
	for _, c := range slices.Backward(all) {
		w.delete(c.Shape, c.gone)
	}
	if copies {
		if gone > 0 {
			if err := w.send(ctx, rs.shape); err != nil {
				return err
			}
			w.out = out
			w.out.Queue(PlannedSQL)
		}
		if err := rs.writeNew(ctx, conn, all, added); err != nil {
			return err
		}
	}
	for _, c := range all {
		if err := w.write(ctx, c.Shape, c.changed, c.updateSQL(rs.place), !c.triggers); err != nil {
			return err
		}
		if copies {
			continue
		}
		if err := w.write(ctx, c.Shape, c.added, c.insertSQL(rs.place), false); err != nil {
			return err
		}
	}
	return nil
}

// writeNew copies new rows, into tables without indexes where they are many and the first.
func (rs *Rows[R]) writeNew(ctx context.Context, conn *pgx.Conn, all []changes, n int) error {
	if rs.blank && n >= withoutFrom {
		return rs.bare(ctx, conn, func() error { return rs.copy(ctx, conn, all) })
	}
	return rs.copy(ctx, conn, all)
}

func (rs *Rows[R]) copy(ctx context.Context, conn *pgx.Conn, all []changes) error {
	for _, c := range all {
		if c.added.n == 0 {
			continue
		}
		if err := c.copy(ctx, conn, rs.place, c.added); err != nil {
			return err
		}
	}
	return nil
}

// bare runs f while the tables have no indexes.
func (rs *Rows[R]) bare(ctx context.Context, conn *pgx.Conn, f func() error) error {
	for _, t := range rs.shape.tables() {
		inner := f
		f = func() error { return without(ctx, conn, t.qualified(rs.place), inner) }
	}
	return f()
}

// writer queues statements, and sends them where there may be many.
type writer struct {
	conn  *pgx.Conn
	out   *pgx.Batch
	place Place
	alone bool
}

func (w *writer) delete(s *Shape, gone records) {
	for part := range gone.chunks {
		keys, xmins := identify(part)
		w.out.Queue(s.deleteSQL(w.place), append(s.splitAll(keys), xmins)...).Exec(s.expect(len(part)))
	}
}

// write queues a statement that writes rows, or several.
func (w *writer) write(ctx context.Context, s *Shape, rows records, sql string, xmin bool) error {
	for part := range rows.chunks {
		args, err := s.args(w.conn.TypeMap(), part, xmin)
		if err != nil {
			return err
		}
		w.out.Queue(sql, args...).Exec(s.expect(len(part)))
		if !w.alone || len(part) < writeRows {
			continue
		}
		if err := w.send(ctx, s); err != nil { // there may be many more
			return err
		}
	}
	return nil
}

func (w *writer) send(ctx context.Context, s *Shape) error {
	if err := w.conn.SendBatch(ctx, w.out).Close(); err != nil {
		return fmt.Errorf("write rows of %s: %w", s.Name, err)
	}
	*w.out = pgx.Batch{}
	return nil
}

// expect refuses a statement that has not written all of its rows. Where triggers decide
// what is written, nothing is expected.
func (s *Shape) expect(rows int) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(rows) && !s.triggers {
			return fmt.Errorf("%w: %d of %d rows of %s were written", ErrStale, tag.RowsAffected(), rows, s.Name)
		}
		return nil
	}
}

func (s *Shape) refuses(c *column, err error) error {
	return valueError{fmt.Errorf("column %s of %s: %w", c.column, s.Name, err)}
}

// copied are the columns that COPY writes.
func (s *Shape) copied() []string {
	names := s.keyNames()
	for _, c := range s.columns {
		names = append(names, c.column)
	}
	return names
}

func (s *Shape) copy(ctx context.Context, conn *pgx.Conn, place Place, added records) error {
	names := s.copied()
	values, parts := make([]any, len(names)), []string(nil)
	i := 0
	source := pgx.CopyFromFunc(func() ([]any, error) {
		if i == added.n {
			return nil, nil
		}
		r := added.at(i)
		parts = s.split(r.key, parts[:0])
		for n, part := range parts {
			values[n] = part
		}
		for n := range s.columns {
			values[len(s.keys)+n] = r.value.FieldByIndex(s.columns[n].index).Interface()
		}
		i++
		return values, nil
	})
	_, err := conn.CopyFrom(ctx, pgx.Identifier{place.Schema, s.Name}, names, source)
	switch {
	case err == nil:
		return nil
	case pg.Is(err, pg.QueryCanceled) && strings.Contains(err.Error(), "encode"): // by the driver
		return valueError{fmt.Errorf("copy rows into %s: %w", s.Name, err)}
	default:
		return fmt.Errorf("copy rows into %s: %w", s.Name, err)
	}
}
