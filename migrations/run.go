package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/asof-dev/asof/internal/pg"
)

// execer is a connection or its transaction.
type execer interface {
	querier
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// run goes to the goal file by file. What is next is read again under the lock, for
// each file: whatever others do, and whatever became of their locks, none is done
// twice or out of order.
func (s *session) run(ctx context.Context, g goal) error {
	for prepared := false; ; {
		st, err := g.state(ctx, s.conn)
		if err != nil {
			return err
		}
		f, err := g.next(st)
		if errors.Is(err, ErrUnfinished) { // or at work now
			if err := s.finished(ctx, g); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case !prepared && (f != nil && !st.complete || g.up && g.strangers(st)):
			prepared = true
			err = s.prepare(ctx, g.plan)
			if f == nil && pg.MayNotWrite(err) { // there is nothing to do, and no right to write down by whom it was done
				return nil
			}
		case f == nil:
			return nil
		case f.outside:
			err = s.outside(ctx, g, *f)
		default:
			err = s.inside(ctx, g, *f)
		}
		if err != nil {
			return err
		}
	}
}

// inside does a file in one transaction with the lock and its number.
func (s *session) inside(ctx context.Context, g goal, f file) error {
	tx, err := s.turn(ctx, g.schema)
	if err != nil {
		return err
	}
	defer rollback(ctx, tx)
	if still, err := g.still(ctx, tx, f); err != nil || !still {
		return err
	}
	if err := pathHolds(ctx, tx, g.schema); err != nil {
		return err
	}
	for i, statement := range f.statements(g.up) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return f.failed(g, i, err)
		}
		if s.conn.PgConn().TxStatus() != 'T' {
			return s.torn(ctx, g, f, i)
		}
	}
	if err := g.record(ctx, tx, f); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("%s: commit: %w", f.name, err)
	}
	return nil
}

// finished waits for who is at work, and then tells whether a file was left in its
// middle.
func (s *session) finished(ctx context.Context, g goal) error {
	tx, err := s.turn(ctx, g.schema)
	if err != nil {
		return err
	}
	defer rollback(ctx, tx)
	st, err := g.state(ctx, tx)
	if err == nil {
		_, err = g.next(st)
	}
	return err
}

// still reports whether the file is the next one yet.
func (g goal) still(ctx context.Context, q querier, f file) (bool, error) {
	st, err := g.state(ctx, q)
	if err != nil {
		return false, err
	}
	next, err := g.next(st)
	return err == nil && next != nil && next.version == f.version, err
}

// torn writes down that a file ended its own transaction: what it did before that
// stays, and others may have the lock by now.
func (s *session) torn(ctx context.Context, g goal, f file, i int) error {
	err := fmt.Errorf("it ended the transaction of its file: make it a file that runs outside one (-- +goose NO TRANSACTION); %s", g.mend(f.version))
	if begun := g.begin(ctx, s.conn, f); begun != nil {
		err = begun
	}
	return &problem{ErrUnfinished, f.failed(g, i, err).Error()}
}

// outside does a file whose statements have no transaction. That it was begun is written
// down first: the session may end in its middle, and then nobody knows what is done.
func (s *session) outside(ctx context.Context, g goal, f file) error {
	if !s.direct {
		return invalid("%s runs outside a transaction (-- +goose NO TRANSACTION), for which it needs a session of its own, and a pooler stands between: connect to Postgres directly for migrations", f.name)
	}
	if err := s.lock(ctx, g.schema); err != nil {
		return err
	}
	defer s.unlock(ctx, g.schema)
	if still, err := g.still(ctx, s.conn, f); err != nil || !still {
		return err
	}
	if err := pathHolds(ctx, s.conn, g.schema); err != nil {
		return err
	}
	if err := g.begin(ctx, s.conn, f); err != nil {
		return err
	}
	for i, statement := range f.statements(g.up) {
		if _, err := s.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%w; it runs outside a transaction, so what it did stays: %s", f.failed(g, i, err), g.mend(f.version))
		}
	}
	return g.record(ctx, s.conn, f)
}

func (f file) failed(g goal, i int, err error) error {
	if n := len(f.statements(g.up)); n > 1 {
		return fmt.Errorf("%s: statement %d of %d: %w", f.name, i+1, n, err)
	}
	return fmt.Errorf("%s: %w", f.name, err)
}

// beginSQL writes down that a file was begun: the row that it has on the way down, else
// a new one. Bind: $1 version, $2 name, $3 checksum.
const beginSQL = `
with there as (update %[1]s set is_applied = false, name = $2 where version_id = $1 returning true)
insert into %[1]s (version_id, is_applied, name, checksum, tstamp)
select $1, false, $2, $3, clock_timestamp() at time zone 'utc' where not exists (select from there)`

// recordSQL writes down that a file is applied, over its row when it was begun. Bind as
// above.
const recordSQL = `
with there as (update %[1]s set is_applied = true, name = $2, checksum = $3, tstamp = clock_timestamp() at time zone 'utc' where version_id = $1 returning true)
insert into %[1]s (version_id, is_applied, name, checksum, tstamp)
select $1, true, $2, $3, clock_timestamp() at time zone 'utc' where not exists (select from there)`

// forgetSQL writes down that a file was taken back. Bind: $1 version.
const forgetSQL = `delete from %s where version_id = $1`

func (g goal) begin(ctx context.Context, db execer, f file) error {
	_, err := db.Exec(ctx, fmt.Sprintf(beginSQL, g.table), f.version, f.name, f.checksum)
	return noted(f, err)
}

func (g goal) record(ctx context.Context, db execer, f file) (err error) {
	if g.up {
		_, err = db.Exec(ctx, fmt.Sprintf(recordSQL, g.table), f.version, f.name, f.checksum)
	} else {
		_, err = db.Exec(ctx, fmt.Sprintf(forgetSQL, g.table), f.version)
	}
	return noted(f, err)
}

func noted(f file, err error) error {
	if err != nil {
		return fmt.Errorf("%s: write its number down: %w", f.name, err)
	}
	return nil
}
