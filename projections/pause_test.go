package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

func (w *world) pause(p *projections.Projector, reason string) {
	w.Helper()
	if err := projections.Pause(w.Context(), w.store, p.Name(), reason); err != nil {
		w.Fatal(err)
	}
}

func (w *world) resume(p *projections.Projector) {
	w.Helper()
	if was, err := projections.Resume(w.Context(), w.store, p.Name()); err != nil || !was {
		w.Fatalf("was paused: %v, %v", was, err)
	}
}

// Nothing is applied once Pause has returned, whoever follows and however fast: what is
// there then is there until the projection is resumed.
func TestPause_stops_all_projectors_until_they_are_resumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, totals(), projections.WithBatch(20))
	start(t, p)
	start(t, projections.New(w.store, totals(), projections.WithBatch(7)))
	stop := w.load(2)
	for range 3 {
		before, err := p.Status(t.Context())
		until(t, "some is applied", func() bool {
			var now projections.Status
			now, err = p.Status(t.Context())
			return err == nil && now.Position > before.Position+50
		})
		w.pause(p, "a look")
		paused, err := p.Status(t.Context())
		if err != nil || paused.Paused == nil || paused.Paused.Reason != "a look" || paused.Paused.Since.IsZero() {
			t.Fatalf("%+v, %v", paused, err)
		}
		until(t, "more is appended", func() bool {
			now, err := p.Status(t.Context())
			if err != nil || now.Position != paused.Position || now.Failure != "" {
				t.Fatalf("%+v, %v", now, err)
			}
			return now.Lag > paused.Lag+200
		})
		w.resume(p)
	}
	w.wait(p, stop())
	w.wantTotals("totals.totals")
	w.wantApplied("totals")
	if was, err := projections.Resume(t.Context(), w.store, "totals"); err != nil || was {
		t.Errorf("resumed twice: %v, %v", was, err)
	}
	if err := projections.Pause(t.Context(), w.store, "nobody", "why"); !errors.Is(err, projections.ErrNotBuilt) {
		t.Error(err)
	}
}

func TestPause_of_a_projector_that_begins_and_of_one_that_Kafka_feeds(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.projector(c.balances(), projections.WithLogCheck(often))
	c.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.pause(p, "before it begins")
	start(t, p)
	c.publish(c.history()...)
	next := c.append("a-1", Deposited{Cents: 5})
	if err := p.WaitFor(within(t, 500*time.Millisecond), next); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("waited for a projection that is paused: %v", err)
	}
	c.resume(p)
	c.wait(p, next)
	c.untilReading(p)
	c.pause(p, "while it reads")
	before := c.number(`select sum(next_offset) from asof.offsets`)
	last := c.append("a-1", Deposited{Cents: 6})
	c.publish(c.history()...)
	if err := p.WaitFor(within(t, 500*time.Millisecond), last); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("waited for a projection that is paused: %v", err)
	}
	if now := c.number(`select sum(next_offset) from asof.offsets`); now != before {
		t.Errorf("offsets moved from %d to %d", before, now)
	}
	c.resume(p)
	c.wait(p, last)
	c.wantBalances("balances.balances")
}

// What somebody asks for goes on: a rebuild, whose read model then stands still, and a
// rollback.
func TestPause_lets_rebuilds_and_retries_be(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	w.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.pause(p, "for a rebuild")
	w.append("a-1", Deposited{Cents: 5})
	var last projections.Progress
	if err := p.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) { last = p })); err != nil || last.Compared {
		t.Fatalf("%+v, %v", last, err)
	}
	w.wantBalances("balances.balances")
	start(t, p)
	next := w.append("a-1", Deposited{Cents: 7})
	if err := p.WaitFor(within(t, 500*time.Millisecond), next); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the new build is not paused: %v", err)
	}
	if err := p.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantBalances("balances.balances")
	w.resume(p)
	w.wait(p, next)
	w.wantBalances("balances.balances")
	w.pause(p, "before it is dropped")
}

func TestRewind_shows_a_position_until_it_is_resumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, totals())
	for n := range 30 {
		w.append(name(n%4), Deposited{Cents: int64(n + 1)})
	}
	start(t, p)
	w.wait(p, 30)
	for _, to := range []es.Position{10, 25, 0, 30} {
		if err := p.Rewind(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		same(t, w.foldTotals(w.history()[:to]), tableOf(w, "totals.totals", byBucket))
		s, err := p.Status(t.Context())
		if err != nil || s.Position != to || s.Paused == nil || s.Failure != "" {
			t.Errorf("%+v, %v", s, err)
		}
	}
	if err := p.Rewind(t.Context(), 31); !errors.Is(err, es.ErrNotSettled) {
		t.Errorf("a position that nobody has: %v", err)
	}
	if err := p.Rewind(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	w.resume(p)
	w.wait(p, w.append("a-1", Deposited{Cents: 99}))
	w.wantTotals("totals.totals")
	w.wantApplied("totals")
	if _, err := projections.DropProjection(t.Context(), w.store, "none"); !errors.Is(err, projections.ErrNotBuilt) {
		t.Error(err)
	}
}

// A rebuild that was stopped further on is not gone on with.
func TestRewind_behind_a_stopped_rebuild_begins_anew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5}, Deposited{Cents: 6})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Rebuild(ctx, projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" {
			cancel()
		}
	}))
	if err == nil {
		t.Fatal("it was not stopped")
	}
	if err := p.Rewind(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	same(t, w.foldBalances(w.history()[:2]), tableOf(w, "balances.balances", byAccount))
	if _, err := projections.DropProjection(t.Context(), w.store, "balances"); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from asof.paused`); n != 0 {
		t.Error("a projection that is gone is paused")
	}
}
