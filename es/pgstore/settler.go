package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
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

// The statements go in one batch. Even where they share a snapshot the order is
// right: locks are read as they are at that moment, not from a snapshot.
//
// headSQL is step (1), holdersSQL is (2) and (3): with the names in $4, those of them
// that still hold the lock; with null, all.
const (
	headSQL = `select position, event_id from {asof}.events order by position desc limit 1`

	holdersSQL = `
select ` + sameLogSQL + `, array(
    select virtualtransaction from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and classid::bigint = {lock} >> 32 and objid::bigint = {lock} & 4294967295
      and ($4::text[] is null or virtualtransaction = any($4) or virtualtransaction like '-1/%'))`

	// sameLogSQL tells whether it is the log in which an event was found: between two round
	// trips it may be put back, or the pool may lead to another server, where nobody holds
	// the lock. Bind: $1 start of the server, $2 position of the event, zero for none, $3 its
	// id.
	sameLogSQL = `pg_postmaster_start_time() = $1::timestamptz
  and ($2::bigint = 0 or exists (select from {asof}.events where position = $2::bigint and event_id = $3::uuid))`
)

// settler knows how far the log is settled. Its head is read without a lock, so that
// no reader waits for another one's round trip.
type settler struct {
	pool    *pgxpool.Pool
	sql     *statements
	started time.Time            // of the server: what is found here is stored in that run alone
	head    atomic.Pointer[mark] // only grows; nil before the first event

	turn    chan struct{} // whose turn it is to look at the locks, for all who wait at a hole
	pending *target       // what they wait for, over several calls
	raised  *raised       // what KeepMoments waits for, over several calls
	loaded  bool          // head is no lower than what other processes have stored
	stored  time.Time     // when this one has stored it
}

// target is a head that is settled when its holders are gone.
type target struct {
	head    mark
	holders []string
}

func (s *settler) known() es.Position {
	if m := s.head.Load(); m != nil {
		return m.position
	}
	return 0
}

func (s *settler) raise(m mark) {
	for {
		old := s.head.Load()
		if m.position == 0 || old != nil && old.position >= m.position || s.head.CompareAndSwap(old, &m) {
			return
		}
	}
}

// queue adds steps (1) and (2) to a round trip.
func (t *target) queue(s *settler, batch *pgx.Batch) {
	batch.Queue(s.sql.head).Query(t.head.scan)
	batch.Queue(s.sql.holders, append(s.same(mark{}), nil)...).QueryRow(t.scanHolders)
}

// same gives what sameLogSQL wants.
func (s *settler) same(m mark) []any { return []any{s.started, int64(m.position), m.uuid()} }

func (t *target) scanHolders(row pgx.Row) error {
	var same bool
	if err := row.Scan(&same, &t.holders); err != nil {
		return err
	}
	if !same {
		return errRunEnded
	}
	return nil
}

// scan reads the row of an event, or leaves the mark as it is when there is none.
func (m *mark) scan(rows pgx.Rows) error {
	_, err := pgx.ForEachRow(rows, []any{(*int64)(&m.position), (*[16]byte)(&m.id)}, func() error { return nil })
	return err
}

// gone is step (3).
func (s *settler) gone(ctx context.Context, t *target) (bool, error) {
	if len(t.holders) == 0 {
		return true, nil
	}
	var left target
	err := left.scanHolders(s.pool.QueryRow(ctx, s.sql.holders, append(s.same(t.head), t.holders)...))
	return len(left.holders) == 0, err
}

// await is step (3) until it is done.
func (s *settler) await(ctx context.Context, t *target) error {
	for pause := lookAgain(); ; {
		if done, err := s.gone(ctx, t); err != nil || done {
			return err
		}
		if err := pause.Wait(ctx); err != nil {
			return err
		}
	}
}

// lookAgain is the pause between two looks at the locks: most appends take about a
// millisecond.
func lookAgain() wait.Backoff {
	return wait.Backoff{First: 500 * time.Microsecond, Last: 20 * time.Millisecond}
}

// settleHead waits for all that is under way, and returns the head that is settled
// then.
func (s *Store) settleHead(ctx context.Context) (es.Position, origin, error) {
	var t target
	l, err := s.read(ctx, "settle the log", es.Checkpoint{}, func(l look, batch *pgx.Batch) {
		t = target{}
		t.queue(&l.run.settler, batch)
	})
	if err != nil {
		return 0, origin{}, err
	}
	if err := l.run.settler.await(ctx, &t); err != nil {
		return 0, origin{}, err
	}
	l.run.settler.raise(t.head)
	return t.head.position, l.origin(), nil
}

// SettleTo waits until a position is settled: see [es.Settler].
func (s *Store) SettleTo(ctx context.Context, p es.Position) error {
	known, err := again("settle the log", func() (es.Position, error) {
		l, err := s.read(ctx, "settle the log", es.Checkpoint{}, func(look, *pgx.Batch) {}) // it may have been put back
		if err == nil && p > l.run.settler.known() {
			_, err = l.run.settler.load(ctx)
		}
		if err != nil {
			return 0, err
		}
		return l.run.settler.known(), nil
	})
	if err != nil || p <= known {
		return err
	}
	head, err := s.Settle(ctx, time.Time{})
	if err == nil && p > head {
		err = fmt.Errorf("%w: position %d is past the end of the log, which is at %d", es.ErrNotSettled, p, head)
	}
	return explain("settle the log", err)
}

// tripTime bounds a round trip that others wait for.
const tripTime = 5 * time.Second

// advance tries once to raise the settled head above what the caller knew, and reports
// whether it is above. Those who wait take turns, each as long as its own context lets
// it. What was pending stays so through errors, but for those of another log.
func (s *settler) advance(ctx context.Context, above es.Position) (bool, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if s.known() > above {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tripTime)
	defer cancel()
	err := s.tryAdvance(ctx)
	return s.known() > above, err
}

func (s *settler) tryAdvance(ctx context.Context) error {
	if !s.loaded {
		grown, err := s.load(ctx)
		if err != nil {
			return err
		}
		s.loaded = true
		if grown {
			return nil
		}
	}
	if s.pending == nil {
		t, batch := &target{}, &pgx.Batch{}
		t.queue(s, batch)
		if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		s.pending = t
	}
	done, err := s.gone(ctx, s.pending)
	if errors.Is(err, errRunEnded) {
		s.pending = nil
	}
	if err != nil || !done {
		return err
	}
	s.raise(s.pending.head)
	s.pending = nil
	return s.store(ctx)
}

// The settled head is kept in the database too, so that a reader that starts while
// an append stays open does not wait over holes that another reader has settled.
// It is stored no more than once a second: an old value costs a wait, nothing else.
const (
	loadHeadSQL = `
select e.position, e.event_id, pg_postmaster_start_time()
from {asof}.settled_head s join {asof}.events e on e.position = s.position`

	// storeHeadSQL does nothing in another log. Bind: as sameLogSQL.
	storeHeadSQL = `
update {asof}.settled_head set position = $2 where position < $2 and ` + sameLogSQL

	storeEvery = time.Second

	// localSQL spares the transaction, which is that of the batch, the wait for synchronous
	// standbys: a failover may take the stored head back, and no reader waits for a
	// standby that is away.
	localSQL = `select set_config('synchronous_commit', 'local', true)`
)

// load reports whether what is stored is above what is known.
func (s *settler) load(ctx context.Context) (bool, error) {
	before := s.known()
	var m mark
	var started time.Time
	err := s.pool.QueryRow(ctx, s.sql.loadHead).Scan((*int64)(&m.position), (*[16]byte)(&m.id), &started)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // nothing is stored
	case err != nil:
		return false, err
	case !started.Equal(s.started):
		return false, errRunEnded
	}
	s.raise(m)
	return s.known() > before, nil
}

// store is called by whoever has the turn. A role that may only read does without.
func (s *settler) store(ctx context.Context) error {
	if time.Since(s.stored) < storeEvery {
		return nil
	}
	head := s.head.Load()
	if head == nil {
		return nil
	}
	batch := &pgx.Batch{}
	batch.Queue(localSQL)
	batch.Queue(s.sql.storeHead, s.same(*head)...)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil && !pg.MayNotWrite(err) {
		return err
	}
	s.stored = time.Now()
	return nil
}
