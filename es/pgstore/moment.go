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

	// storeMomentSQL stores a moment for others, and the head that is settled with it.
	// In another run of the server it does nothing. Bind: $1 moment, $2 its position, $3
	// settled head, $4 start of the server.
	storeMomentSQL = `
update {asof}.settled_head set moment = $1, moment_position = $2, position = greatest(position, $3)
where (moment is null or moment < $1) and pg_postmaster_start_time() = $4`

	// Bind: nothing.
	startedSQL = `select pg_postmaster_start_time()`
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
	if err := s.await(ctx, r.holders); err != nil {
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
	r.queue(s.sql, batch)
	err := s.pool.SendBatch(ctx, batch).Close()
	if errors.Is(err, pgx.ErrNoRows) || pg.MayNotWrite(err) {
		err = errMayNotRaise
	}
	return r, err
}

// errMayNotRaise: the role may not read or not set the settled moment.
var errMayNotRaise = errors.New("pgstore: the role may not make moments final")

// keep is step (4), a statement of its own after the wait, and stores the moment for
// others. That it is still the run in which the moment was raised is asked last, on the
// connection that stores.
func (s *settler) keep(ctx context.Context, r *raised) (es.Position, error) {
	s.raise(r.head)
	rows, err := s.pool.Query(ctx, s.sql.head)
	if err != nil {
		return 0, err
	}
	var head mark
	if err := head.scan(rows); err != nil {
		return 0, err
	}
	var started time.Time
	batch := &pgx.Batch{}
	batch.Queue(startedSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&started) })
	batch.Queue(s.sql.storeMoment, r.at, int64(head.position), int64(r.head.position), s.started)
	err = s.pool.SendBatch(ctx, batch).Close()
	switch {
	case err != nil && !pg.MayNotWrite(err):
		return 0, err
	case !started.Equal(s.started):
		return 0, errRunEnded
	}
	return head.position, nil
}

// KeepMoments makes the present final as far as that needs no waiting, so that roles
// which may only read, and readers that come while an append stays open, find recent
// moments final. It is for what runs all the time, to be called every second or so: the
// relay and the projectors do. Where somebody else did it just now, or where the role
// may not, it does nothing.
func (s *Store) KeepMoments(ctx context.Context) error {
	const enough = 900 * time.Millisecond // between two of one program
	now := time.Now().UnixNano()
	if time.Duration(now-s.kept.Load()) < enough {
		return nil
	}
	var m *moment
	l, err := s.read(ctx, "keep the settled moment", es.Checkpoint{}, func(_ look, batch *pgx.Batch) {
		batch.Queue(s.sql.moment).QueryRow(func(row pgx.Row) (err error) { m, err = scanMoment(row); return err })
	})
	done := err == nil && m.fresh
	if err == nil && !done {
		done, err = l.run.settler.keepMoment(ctx)
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
	done, err := s.gone(ctx, s.raised.holders)
	if err != nil || !done {
		return false, err
	}
	r := s.raised
	s.raised = nil
	if _, err = s.keep(ctx, r); errors.Is(err, errRunEnded) {
		return false, nil // the next call begins anew
	}
	return err == nil, err
}
