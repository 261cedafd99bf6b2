package projections_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// A rebuild stands still for longer than its lease; another process of the program takes its
// build up and is stopped. The one that wakes up is not the build's any more, though nobody
// else holds it now.
func TestRebuild_whose_build_was_taken_up_meanwhile_does_not_switch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	rebuild := func(ctx context.Context, verifying func()) error {
		p := projections.New(w.store, totals(), projections.WithProgram("one"))
		return p.Rebuild(ctx, projections.WithProgress(func(progress projections.Progress) {
			if progress.Phase == "verifying" {
				verifying()
			}
		}))
	}
	err := rebuild(t.Context(), func() {
		w.exec(`update asof.builds set lease_until = now() - interval '1 second'`)
		ctx, cancel := context.WithCancel(t.Context())
		if err := rebuild(ctx, cancel); err == nil {
			t.Error("the one that took it up was not stopped")
		}
		if n := w.number(`select count(*) from asof.builds`); n != 1 {
			t.Errorf("%d builds: it was not taken up", n)
		}
	})
	if !contains(err, "taken over by another process") {
		t.Errorf("the one that was overtaken: %v", err)
	}
	if n := w.number(`select count(*) from asof.builds where status = 'live'`); n != 0 {
		t.Error("it has made the build live")
	}
	if err := rebuild(t.Context(), func() {}); err != nil {
		t.Fatal(err)
	}
	w.wantTotals("totals.totals")
}

// A process that stands still in a transaction which holds a build does not hold it for ever:
// the database ends its session after a minute. A statement may take as long as it does.
func TestTransactions_that_hold_a_build_end_when_they_stand_still(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, projections.Statements[Event]{
		Name: "limits", Version: 1, Codec: codec(),
		Tables: `create table limits (position bigint primary key, idle text not null, statement text not null)`,
		Apply: func(b *pgx.Batch, _ Event, r es.Recorded) {
			b.Queue(`insert into limits values ($1, current_setting('idle_in_transaction_session_timeout'), current_setting('statement_timeout'))`, int64(r.Position))
		},
	})
	w.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 5}))
	if n := w.number(`select count(*) from limits.limits where idle = '1min' and statement = '0'`); n != 2 {
		t.Errorf("%d of 2 transactions", n)
	}
}
