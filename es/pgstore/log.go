package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/asof-dev/asof/es"
)

// readLogSQL reads a page of the log by its primary key. Bind: $1 after, $2 limit.
const readLogSQL = `
select ` + columnsSQL + ` from SCHEMA.events
where position > $1
order by position limit $2`

// patience is how long Read waits for appends under way before it returns what it
// has. It bounds a call, not correctness.
const patience = 100 * time.Millisecond

// mostBytes bounds the memory of a call: it returns fewer events when their payloads
// are large. It is more than one append can have.
const mostBytes = 32 << 20

// Read returns up to limit settled events after a position: see [es.Log]. The
// position must be zero or that of an event which Read returned before.
//
// Positions are drawn one after the other, so as long as the events follow each
// other without a hole, none is missing, and Read costs one round trip. At a hole
// it returns what is before; if that is nothing, it finds out whether the hole is
// an append under way or one that was rolled back. While an append stays open, Read
// returns no events after it: [Store.Status] shows who holds the log back.
func (s *Store) Read(ctx context.Context, after es.Position, limit int) ([]es.RecordedEvent, error) {
	if limit < 1 {
		return nil, fmt.Errorf("%w: read of %d events: ask for 1 or more", es.ErrInvalid, limit)
	}
	if err := s.checkPrimary(ctx); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(patience)
	wait := newBackoff()
	for {
		head := s.settled.known() // before the rows: what it covers is visible to them
		rows, err := s.pool.Query(ctx, s.sql.readLog, int64(after), limit)
		var events []es.RecordedEvent
		if err == nil {
			events, err = collectUpTo(rows, mostBytes)
		}
		if err != nil {
			return nil, explain("read the log", err)
		}
		n, frontier := prefix(events, after, head)
		if after <= head {
			s.settled.raise(frontier)
		}
		if n > 0 || len(events) == 0 {
			return events[:n], nil
		}
		grown, err := s.advance(ctx, head)
		if err != nil {
			return nil, explain("settle the log", err)
		}
		if grown {
			continue
		}
		if time.Now().After(deadline) {
			return nil, nil
		}
		if err := wait.sleep(ctx); err != nil {
			return nil, err
		}
	}
}

// prefix counts the events that are settled: those up to the settled head, and
// those that follow it or after without a hole. It returns the new head.
func prefix(events []es.RecordedEvent, after, head es.Position) (int, es.Position) {
	frontier := max(after, head)
	for i := range events {
		if p := events[i].Position; p > frontier+1 {
			return i, frontier
		} else if p > frontier {
			frontier = p
		}
	}
	return len(events), frontier
}

// Settle waits until all that was under way is settled: see [es.Settler]. It waits
// as long as an append that began before stays open; bound it by the context.
func (s *Store) Settle(ctx context.Context, at time.Time) (es.Position, error) {
	if err := s.checkPrimary(ctx); err != nil {
		return 0, err
	}
	target, err := s.beginSettle(ctx)
	if err != nil {
		return 0, explain("settle the log", err)
	}
	if !at.IsZero() && !at.Before(target.now) {
		return 0, fmt.Errorf("%w: %s is not in the past of the database, whose clock says %s", es.ErrNotSettled,
			at.UTC().Format(time.RFC3339Nano), target.now.UTC().Format(time.RFC3339Nano))
	}
	for wait := newBackoff(); ; {
		done, err := s.gone(ctx, target)
		if err != nil {
			return 0, explain("settle the log", err)
		}
		if done {
			s.settled.raise(target.head)
			return target.head, nil
		}
		if err := wait.sleep(ctx); err != nil {
			return 0, err
		}
	}
}
