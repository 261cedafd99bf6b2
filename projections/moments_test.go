package projections_test

import (
	"context"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// A session that may only read cannot make a moment final. Where a projector runs it need
// not: all that was recorded is final for it soon, again and again.
func TestProjector_keeps_the_present_final_for_those_who_may_only_read(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := w.readOnly()
	last := w.recordedAt("a-1", Opened{Owner: "ann"})
	if _, err := reader.Settle(t.Context(), last); err == nil {
		t.Fatal("the moment was final before a projector ran, so nothing is proved")
	}
	start(t, projections.New(w.store, balances()))
	for range 2 {
		w.awaitFinal(reader, last)
		last = w.recordedAt("a-1", Deposited{Cents: 1})
	}
}

// recordedAt appends an event, and returns when it was recorded.
func (w *world) recordedAt(id string, event Event) time.Time {
	w.Helper()
	w.append(id, event)
	history := w.history()
	return history[len(history)-1].RecordedAt
}

// awaitFinal waits until a moment is final for a reader.
func (w *world) awaitFinal(reader *pgstore.Store, at time.Time) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	for {
		_, err := reader.Settle(ctx, at)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			w.Fatalf("as of %s: %v", at, err)
		}
		rest(ctx, 20*time.Millisecond)
	}
}

// A projector that always has something to apply keeps the present final, too.
func TestProjector_with_a_backlog_keeps_the_present_final(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reader := w.readOnly()
	w.append("a-1", Opened{Owner: "ann"})
	if err := projections.New(w.store, balances()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{Cents: 8})
	last := w.recordedAt("a-1", Deposited{Cents: 9})
	def := balances()
	inner := def.Apply
	def.Apply = func(row *Balance, e Event, r es.Recorded) {
		if d, second := e.(Deposited); second && d.Cents == 9 { // there was no page without an event yet
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			for _, err := reader.Settle(ctx, last); err != nil; _, err = reader.Settle(ctx, last) {
				if ctx.Err() != nil {
					t.Errorf("the moment is not final behind a page that was applied: %v", err)
					break
				}
				rest(ctx, 20*time.Millisecond)
			}
		}
		inner(row, e, r)
	}
	p := projections.New(w.store, def, projections.WithBatch(1))
	start(t, p)
	w.wait(p, es.Position(w.number(`select max(position) from asof.events`)))
}
