package projections_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/projections"
)

// A rebuild stands still for longer than its lease; another takes its build over and
// makes it live, with events that came later. The one that wakes up finds that the
// build does not agree with the position that it knows, and must not drop it.
func TestRebuild_that_was_overtaken_drops_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := projections.New(w.store, totals())
	err := p.Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase != "verifying" {
			return
		}
		w.exec(`update asof.builds set lease_until = now() - interval '1 second'`)
		w.append("a-1", Deposited{Cents: 7})
		if err := projections.New(w.store, totals()).Rebuild(t.Context()); err != nil {
			t.Error(err)
		}
	}))
	if err == nil || !strings.Contains(err.Error(), "taken over by another process") {
		t.Errorf("the rebuild that was overtaken: %v", err)
	}
	w.wantApplied("totals")
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 9}))
	w.wantTotals("totals.totals")
}

// The build's row is locked by the switch, so the lease is renewed right after it, when
// the build is live. That is no reason to fail.
func TestRebuild_succeeds_when_its_lease_is_looked_at_after_the_switch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	s := stallAt(t, "set lease_until = case")
	t.Cleanup(s.goOn)
	p := projections.New(w.otherPool(s), totals())
	renewed := false
	err := p.Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase != "live" {
			return
		}
		select {
		case <-s.reached: // nothing keeps this rebuild's goroutine from being as slow as this
			renewed = true
			s.goOn()
		case <-within(t, time.Minute).Done():
		}
	}))
	if err != nil || !renewed {
		t.Fatalf("%v, lease renewed %v", err, renewed)
	}
	w.wantTotals("totals.totals")
}

func TestRebuild_that_does_not_account_for_the_log_is_dropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := projections.New(w.store, totals())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := p.Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" {
			w.exec(`update asof.sums set hash = hash # 1 where build = (select id from asof.builds where status = 'building')`)
		}
	}))
	if !errors.Is(err, projections.ErrVerify) || !strings.Contains(err.Error(), "other events of account were applied") {
		t.Fatal(err)
	}
	if n := w.number(`select (select count(*) from asof.builds) + (select count(*) from pg_namespace where nspname like 'totals%')`); n != 2 {
		t.Fatalf("%d builds and schemas, want one of each", n)
	}
	w.wantTotals("totals.totals")
}
