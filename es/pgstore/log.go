package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// readLogSQL reads a page of the log by its primary key; its limit is written behind
// it. With the limit as a parameter Postgres would plan the statement anew for every
// page, which takes as long as running it; with no upper bound it would read all of a table
// of which it has no statistics, and keep that plan. Bind: $1 after.
const readLogSQL = `
select ` + columnsSQL + ` from {asof}.events
where position > $1 and position <= 9223372036854775807
order by position limit `

// scanSQL is the same up to a position. Bind: $1 after, $2 up to.
const scanSQL = `
select ` + columnsSQL + ` from {asof}.events
where position > $1 and position <= $2
order by position limit `

// patience is how long Read waits for appends under way before it returns what it
// has. It bounds a call, not correctness.
const patience = 100 * time.Millisecond

// Read returns up to limit settled events after a position: see [es.Log]. The
// position must be zero or that of an event which Read returned before. It returns
// fewer when payloads are large: a call takes little more than 8 MiB.
//
// Positions are drawn one after the other, so as long as the events follow each
// other without a hole, none is missing, and Read costs one round trip. At a hole
// it returns what is before; if that is nothing, it finds out whether the hole is
// an append under way or one that was rolled back. While an append stays open, Read
// returns no events after it: [Store.Status] shows who holds the log back.
//
// A database that is not the one which this program has read before gives
// [es.ErrRestored] or [es.ErrAnotherLife]. What a program before it has read is
// compared by [Store.ReadAfter] alone.
func (s *Store) Read(ctx context.Context, after es.Position, limit int) ([]es.RecordedEvent, error) {
	return s.ReadAfter(ctx, es.Checkpoint{Position: after}, limit)
}

// ReadAfter is Read for a checkpoint that is kept outside of this program: a log that
// does not have its event, or lives another life, is refused.
func (s *Store) ReadAfter(ctx context.Context, after es.Checkpoint, limit int) ([]es.RecordedEvent, error) {
	return s.readAfter(ctx, after, limit, func(from origin) error { return s.replicate(ctx, from) })
}

// readAfter reads a page and lets confirm wait for the standbys, before anybody knows of it.
func (s *Store) readAfter(ctx context.Context, after es.Checkpoint, limit int, confirm func(origin) error) ([]es.RecordedEvent, error) {
	if limit < 1 {
		return nil, fmt.Errorf("%w: read of %d events: ask for 1 or more", es.ErrInvalid, limit)
	}
	return again("read the log", func() ([]es.RecordedEvent, error) {
		l, events, err := s.settledPage(ctx, after, limit)
		if err != nil || len(events) == 0 {
			return nil, err
		}
		if err := confirm(l.origin()); err != nil {
			return nil, err
		}
		s.seen.note(l.run.life, after, events)
		return events, nil
	})
}

// settledPage reads a page. It waits for a while when the log is not settled behind the
// reader's place, and then returns no events.
func (s *Store) settledPage(ctx context.Context, after es.Checkpoint, limit int) (look, []es.RecordedEvent, error) {
	deadline := time.Now().Add(patience)
	pause := lookAgain()
	for {
		events, settled, l, err := s.page(ctx, after, limit)
		if err != nil {
			return look{}, nil, err
		}
		if settled > 0 || len(events) == 0 {
			return l, events[:settled], nil
		}
		grown, err := l.run.settler.advance(ctx, l.position())
		if err != nil && !errors.Is(err, errRunEnded) { // which the next page will tell
			return look{}, nil, explain("settle the log", err)
		}
		if grown {
			continue
		}
		if time.Now().After(deadline) {
			return look{}, nil, nil
		}
		if err := pause.Wait(ctx); err != nil {
			return look{}, nil, err
		}
	}
}

// Verify reports a log that a checkpoint does not fit, as ReadAfter does before it reads.
func (s *Store) Verify(ctx context.Context, c es.Checkpoint) error {
	_, err := s.read(ctx, "look at the log", c, func(look, *pgx.Batch) {})
	return err
}

// page reads events after a checkpoint and counts those that are settled. Where
// nothing is known of their size it reads a few first.
func (s *Store) page(ctx context.Context, after es.Checkpoint, limit int) (events []es.RecordedEvent, settled int, l look, err error) {
	at, bytes := after, 0
	var first *run
	for ask := s.sizes.fit("", limit, 0); ; ask = s.sizes.fit("", limit-settled, bytes) {
		if ask == 0 {
			return events, settled, l, nil
		}
		var got scanned
		l, err = s.read(ctx, "read the log", at, func(_ look, batch *pgx.Batch) {
			batch.Queue(s.sql.readLog+strconv.Itoa(ask), int64(at.Position)).Query(got.collect)
		})
		if err != nil {
			return nil, 0, l, err
		}
		if first == nil {
			first = l.run
		}
		if l.run != first { // what was read in it may be gone
			return nil, 0, l, errRunEnded
		}
		s.sizes.note("", len(got.events), got.bytes)
		n, frontier := prefix(got.events, at.Position, l.head)
		if at.Position <= l.position() {
			l.run.settler.raise(frontier)
		}
		if events == nil {
			events, settled = got.events, n
		} else {
			events, settled = append(events[:settled], got.events...), settled+n
		}
		if bytes += got.bytes; n < len(got.events) || len(got.events) < ask {
			return events, settled, l, nil // at a hole, at the end, or full
		}
		last := &events[settled-1]
		at = es.Checkpoint{Life: l.run.life, Position: last.Position, EventID: last.ID}
	}
}

// prefix counts the events that are settled: those up to the settled head, and
// those that follow it or after without a hole. It returns the new head.
func prefix(events []es.RecordedEvent, after es.Position, head *mark) (int, mark) {
	frontier := mark{position: after}
	if head != nil && head.position > after {
		frontier = *head
	}
	for i := range events {
		if p := events[i].Position; p > frontier.position+1 {
			return i, frontier
		} else if p > frontier.position {
			frontier = mark{position: p, id: events[i].ID}
		}
	}
	return len(events), frontier
}

// Page is a page of what [Store.Stream] gives, as the caller's transaction sees the log, which
// must be read committed: what is visible now. It is final for positions up to one that Settle
// or SettleTo has made so; as of a time, for the events that were recorded by then. It takes no
// other connection, and does not look whether the log is the one that was read before. At the
// end the page has no events.
func (t *Tx) Page(ctx context.Context, after, upTo es.Position, limit int) (*Page, error) {
	ask, err := t.store.scanLimit(limit)
	if err != nil {
		return nil, err
	}
	rows, err := t.tx.Query(ctx, t.store.sql.scan+strconv.Itoa(ask), int64(after), int64(upTo))
	if err != nil {
		return nil, explain("read the log", err)
	}
	r, bytes := row{page: newPage(ask)}, 0
	for bytes < pageBytes && rows.Next() {
		n, err := r.add(rows)
		if err != nil {
			rows.Close()
			return nil, explain("read the log", err)
		}
		bytes += n
	}
	rows.Close() // reads past the rows that are not wanted
	if err := rows.Err(); err != nil {
		return nil, explain("read the log", err)
	}
	t.store.sizes.note("", len(r.page.Events), bytes)
	return r.page, nil
}

func (s *Store) scanLimit(limit int) (int, error) {
	if s.invalid != nil {
		return 0, s.invalid
	}
	if limit < 1 {
		return 0, fmt.Errorf("pgstore: %w: scan of %d events: ask for 1 or more", es.ErrInvalid, limit)
	}
	return s.sizes.fit("", limit, 0), nil
}

// scanned is a page and the bytes of its payloads.
type scanned struct {
	events []es.RecordedEvent
	bytes  int
}

func (p *scanned) collect(rows pgx.Rows) (err error) {
	p.events, p.bytes, err = collect(rows, pageBytes)
	return err
}
