package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// How a moment becomes final.
//
// (1) The settled moment is raised to the clock: no append that takes the lock after
// that records an event before it, wherever the clock goes. (2) After that, list who
// holds the lock of appends; (3) wait until just those are gone; (4) read the highest
// position anew. Whatever was recorded before the moment is by one of those who were
// waited for, or was visible before: it lies at or below that position, and is
// visible. What may still appear at or below it was recorded at the moment or later,
// so whoever reads as of a time takes, in a plain scan, what was recorded by then.
//
// The moment is a sequence, since its value is what was set last, committed or not: an
// append reads it after its lock, and a row of a table it would read from a snapshot
// that is older than the lock. It is set under a lock of its own.

// moment: no event recorded before at lies above position.
type moment struct {
	at       time.Time
	position es.Position
	fresh    bool // it lies less than a second back
}

// covers reports whether the moment makes a time final.
func (m *moment) covers(at time.Time) bool { return at.Before(m.at) }

const (
	// Bind: nothing.
	momentSQL = `
select coalesce(moment, 'epoch'), moment_position, coalesce(moment > clock_timestamp() - interval '1 second', false) from {asof}.settled_head`

	// raiseSQL is step (1). Without the right to read the sequence Postgres gives null
	// for its value, and it would be set back: then there is no row.
	raiseSQL = `
select timestamptz 'epoch' + setval({moment}, greatest(coalesce(pg_sequence_last_value({moment}), 0),
       (extract(epoch from clock_timestamp()) * 1000000)::bigint)) * interval '1 microsecond'
from (select pg_advisory_xact_lock({momentLock}) offset 0) as lock
where has_sequence_privilege({moment}, 'usage, select')`

	// storeMomentSQL stores a moment for others, and the head that is settled with it. In
	// another log it does nothing. Bind: as momentHoldsSQL, with the settled head as the event.
	storeMomentSQL = `
update {asof}.settled_head set moment = $4, moment_position = $5, position = greatest(position, $2)
where (moment is null or moment < $4) and ` + momentHoldsSQL

	// momentHoldsSQL tells whether it is the log in which a moment was raised, and appends
	// mind the moment. Bind: as sameLogSQL, then $4 moment, $5 its position, $6 the id of
	// the event there.
	momentHoldsSQL = sameLogSQL + `
  and ($5::bigint = 0 or exists (select from {asof}.events where position = $5::bigint and event_id = $6::uuid))
  and coalesce(pg_sequence_last_value({moment}) >= (extract(epoch from $4::timestamptz) * 1000000)::bigint, false)`
)

// Settle makes a moment final: see [es.Settler]. It waits as long as an append that
// began before stays open; bound it by the context. A role that may only read gets the
// moments that relays and projectors have made final, which is until a second ago or
// two.
func (s *Store) Settle(ctx context.Context, at time.Time) (es.Position, error) {
	return again("settle the log", func() (es.Position, error) {
		position, from, err := s.settleAt(ctx, at)
		if err == nil {
			err = s.replicate(ctx, from)
		}
		return position, err
	})
}

func (s *Store) settleAt(ctx context.Context, at time.Time) (es.Position, origin, error) {
	if at.IsZero() {
		return s.settleHead(ctx)
	}
	var m *moment
	l, err := s.read(ctx, "settle the log", es.Checkpoint{}, func(_ look, batch *pgx.Batch) {
		batch.Queue(s.sql.moment).QueryRow(func(row pgx.Row) (err error) { m, err = scanMoment(row); return err })
	})
	if err != nil {
		return 0, origin{}, err
	}
	if m.covers(at) {
		return m.position, l.origin(), nil
	}
	position, err := l.run.settler.final(ctx, m, at)
	return position, l.origin(), err
}

// final makes a moment final that m does not cover.
func (s *settler) final(ctx context.Context, m *moment, at time.Time) (es.Position, error) {
	r, err := s.raiseMoment(ctx)
	switch {
	case errors.Is(err, errMayNotRaise):
		return 0, fmt.Errorf("%w: moments before %s are final, and this role may only read: a relay, a projector or a role with usage and update on %s makes later ones so",
			es.ErrNotSettled, written(m.at), s.sql.momentName)
	case err != nil:
		return 0, err
	case !at.Before(r.at):
		return 0, fmt.Errorf("%w: %s is not in the past of the database, whose clock says %s", es.ErrNotSettled, written(at), written(r.at))
	}
	if err := s.await(ctx, &r.target); err != nil {
		return 0, err
	}
	return s.keep(ctx, r)
}

func written(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

func scanMoment(row pgx.Row) (*moment, error) {
	m := &moment{}
	return m, row.Scan(&m.at, (*int64)(&m.position), &m.fresh)
}

// raised is a moment on its way to be final.
type raised struct {
	at time.Time
	target
}

// raiseMoment is steps (1) and (2), in one round trip, with the head that is settled
// when the holders are gone.
func (s *settler) raiseMoment(ctx context.Context) (*raised, error) {
	r := &raised{}
	batch := &pgx.Batch{}
	batch.Queue(s.sql.raise).QueryRow(func(row pgx.Row) error { return row.Scan(&r.at) })
	r.queue(s, batch)
	err := s.pool.SendBatch(ctx, batch).Close()
	if errors.Is(err, pgx.ErrNoRows) || pg.MayNotWrite(err) {
		err = errMayNotRaise
	}
	return r, err
}

// errMayNotRaise: the role may not read or not set the settled moment.
var errMayNotRaise = errors.New("pgstore: the role may not make moments final")

// keep is step (4), a statement of its own after the wait, and stores the moment for
// others. That it is still the log in which the moment was raised is asked last, on the
// connection that stores.
func (s *settler) keep(ctx context.Context, r *raised) (es.Position, error) {
	var head mark
	var same, holds bool
	batch := &pgx.Batch{}
	batch.Queue(s.sql.head).Query(head.scan)
	batch.Queue(s.sql.sameLog, s.same(r.head)...).QueryRow(func(row pgx.Row) error { return row.Scan(&same) })
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return 0, err
	}
	if !same {
		return 0, errRunEnded
	}
	values := append(s.same(r.head), r.at, int64(head.position), head.uuid())
	batch = &pgx.Batch{}
	batch.Queue(s.sql.momentHolds, values...).QueryRow(func(row pgx.Row) error { return row.Scan(&holds) })
	batch.Queue(s.sql.storeMoment, values...)
	err := s.pool.SendBatch(ctx, batch).Close()
	switch {
	case err != nil && !pg.MayNotWrite(err):
		return 0, err
	case !holds:
		return 0, errRunEnded
	}
	s.raise(r.head)
	return head.position, nil
}

// KeepMoments makes the present final as far as that needs no waiting, so that roles
// which may only read, and readers that come while an append stays open, find recent
// moments final. It is for what runs all the time, to be called every second or so: the
// relay and the projectors do. Where somebody else did it just now, or does, or where the
// role may not, it does nothing.
func (s *Store) KeepMoments(ctx context.Context) error {
	const enough = 900 * time.Millisecond // between two of one program
	now := time.Now().UnixNano()
	if time.Duration(now-s.kept.Load()) < enough || !s.keeping.TryLock() {
		return nil
	}
	defer s.keeping.Unlock()
	var m *moment
	l, err := s.read(ctx, "keep the settled moment", es.Checkpoint{}, func(_ look, batch *pgx.Batch) {
		batch.Queue(s.sql.moment).QueryRow(func(row pgx.Row) (err error) { m, err = scanMoment(row); return err })
	})
	done := err == nil && m.fresh
	if err == nil && !done {
		done, err = l.run.settler.keepMoment(ctx)
	}
	if errors.Is(err, errRunEnded) {
		return nil // the next call begins anew
	}
	if done {
		s.kept.Store(now)
	}
	return explain("keep the settled moment", err)
}

// keepMoment reports whether there is no more to do.
func (s *settler) keepMoment(ctx context.Context) (bool, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, tripTime)
	defer cancel()
	if s.raised == nil {
		r, err := s.raiseMoment(ctx)
		if errors.Is(err, errMayNotRaise) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		s.raised = r
	}
	done, err := s.gone(ctx, &s.raised.target)
	if errors.Is(err, errRunEnded) {
		s.raised = nil
	}
	if err != nil || !done {
		return false, err
	}
	r := s.raised
	s.raised = nil
	_, err = s.keep(ctx, r)
	return err == nil, err
}
