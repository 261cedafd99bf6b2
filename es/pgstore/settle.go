package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// How the log is settled.
//
// A transaction that has drawn a position and is not yet visible holds the shared
// lock of appends. So: (1) note the highest position that is visible, the target;
// (2) after that, list who holds the lock; (3) wait until just those are gone. A
// lock is released after its commit is visible, and an append that begins later
// draws a higher position, so then every position up to the target is either
// visible or was rolled back: the target is the settled head.
//
// No writer waits, transactions that append nothing are not waited for, and time
// plays no part.
//
// A holder is named by its virtual transaction. Its process id is not enough:
// PREPARE TRANSACTION leaves none. The name survives PREPARE, but not a crash of
// the server, which lists what was prepared before under new names that begin with
// -1/: so those count as holders whenever they are seen.

// The three statements go in one batch. Even where they share a snapshot the order
// is right: locks are read as they are at that moment, not from a snapshot.
//
// nowSQL and headSQL are steps (1), holdersSQL is (2) and (3): with the names in
// $1, those of them that still hold the lock; with null, all. Each is a statement
// of its own, with a snapshot of its own.
const (
	nowSQL  = `select clock_timestamp(), pg_is_in_recovery()`
	headSQL = `select coalesce(max(position), 0) from SCHEMA.events`

	holdersSQL = `
select virtualtransaction from pg_locks
where locktype = 'advisory' and granted and objsubid = 1
  and database = (select oid from pg_database where datname = current_database())
  and classid::bigint = LOCK_KEY >> 32 and objid::bigint = LOCK_KEY & 4294967295
  and ($1::text[] is null or virtualtransaction = any($1) or virtualtransaction like '-1/%')`
)

// target is a head that is settled when its holders are gone.
type target struct {
	now     time.Time
	head    es.Position
	holders []string
}

// beginSettle does steps (1) and (2) in one round trip. The clock is read first and
// the holders last: whoever takes the lock later reads a later clock.
func (s *Store) beginSettle(ctx context.Context) (target, error) {
	var t target
	var standby bool
	batch := &pgx.Batch{}
	batch.Queue(s.sql.now).QueryRow(func(row pgx.Row) error { return row.Scan(&t.now, &standby) })
	batch.Queue(s.sql.head).QueryRow(func(row pgx.Row) error { return row.Scan((*int64)(&t.head)) })
	batch.Queue(s.sql.holders, nil).Query(func(rows pgx.Rows) (err error) {
		t.holders, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	err := s.pool.SendBatch(ctx, batch).Close()
	if err == nil && standby {
		err = errStandby
	}
	return t, err
}

// gone is step (3).
func (s *Store) gone(ctx context.Context, t target) (bool, error) {
	if len(t.holders) == 0 {
		return true, nil
	}
	left, err := query(ctx, s.pool, s.sql.holders, t.holders)
	return len(left) == 0, err
}

func query(ctx context.Context, db db, sql string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// settled is what all readers of a store know together.
type settled struct {
	mu      sync.Mutex
	head    es.Position // only grows
	pending *target     // what Read waits for at a hole, over several calls
	loaded  bool        // head is no lower than what other processes have stored
	stored  time.Time
}

func (s *settled) known() es.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head
}

func (s *settled) raise(head es.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = max(s.head, head)
}

// advance tries once to raise the settled head above head, and reports whether it
// did. Readers take turns; an error forgets what was pending, and the next call
// begins again from step (1).
func (s *Store) advance(ctx context.Context, head es.Position) (bool, error) {
	st := &s.settled
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.head > head {
		return true, nil
	}
	err := s.tryAdvance(ctx)
	if err != nil {
		st.pending = nil
	}
	return st.head > head, err
}

func (s *Store) tryAdvance(ctx context.Context) error {
	st := &s.settled
	if !st.loaded {
		var stored int64
		if err := s.pool.QueryRow(ctx, s.sql.loadHead).Scan(&stored); err != nil {
			return err
		}
		st.loaded = true
		if es.Position(stored) > st.head {
			st.head = es.Position(stored)
			return nil
		}
	}
	if st.pending == nil {
		t, err := s.beginSettle(ctx)
		if err != nil {
			return err
		}
		st.pending = &t
	}
	done, err := s.gone(ctx, *st.pending)
	if err != nil || !done {
		return err
	}
	st.head = max(st.head, st.pending.head)
	st.pending = nil
	return s.store(ctx)
}
