package projections_test

import (
	"context"
	"errors"
	"testing"

	"github.com/asof-dev/asof/projections"
)

// A stopped rebuild that topics have filled is not gone on with from the log, nor the other
// way round: what is applied is known otherwise.
func TestRebuild_does_not_go_on_with_what_another_kind_of_source_has_filled(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"topic", "log"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t)
			g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
			g.tell(eventSource, g.life, g.history()...)
			program := projections.WithProgram("one")
			stopped := g.projector(g.balances(), program)
			other := projections.New(g.in(), g.balances(), projections.FromLog(g.store), program)
			if first == "log" {
				stopped, other = other, stopped
			}
			ctx, cancel := context.WithCancel(t.Context())
			err := stopped.Rebuild(ctx, projections.WithProgress(func(progress projections.Progress) {
				if progress.Phase == "verifying" {
					cancel()
				}
			}))
			if err == nil {
				t.Fatal("it was not stopped")
			}
			if n := g.target.number(`select count(*) from asof.builds where status = 'building' and kind = $1`, first); n != 1 {
				t.Fatalf("%d builds are left of it", n)
			}
			if err := other.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := g.target.number(`select count(*) filter (where status = 'live' and kind <> $1) from asof.builds`, first); n != 1 {
				t.Error("what is live is of the other kind of source")
			}
			same(t, g.foldBalances(g.history()), tableOf(g.target, "balances.balances", byAccount))
		})
	}
}

// A kept build is not brought up to date from another kind of source than it was fed from.
func TestRollback_to_a_build_of_another_kind_of_source_is_refused(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"topic", "log"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t)
			g.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
			g.tell(eventSource, g.life, g.history()...)
			first, second := g.projector(g.balances()), projections.New(g.in(), g.balances(), projections.FromLog(g.store))
			if kept == "log" {
				first, second = second, first
			}
			for _, p := range []*projections.Projector{first, second} {
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			g.append("a-1", Deposited{Cents: 7})
			g.tell(eventSource, g.life, g.history()[2])
			if err := second.Rollback(within(t, patient)); !errors.Is(err, projections.ErrNotBuilt) || !contains(err, "another kind of source: rebuild it") {
				t.Errorf("got %v", err)
			}
			if n := g.target.number(`select count(*) from asof.builds where status = 'retired' and kind = $1`, kept); n != 1 {
				t.Error("the kept build is not kept any more")
			}
			if err := first.Rollback(t.Context()); err != nil { // of its own kind
				t.Fatal(err)
			}
			same(t, g.foldBalances(g.history()), tableOf(g.target, "balances.balances", byAccount))
		})
	}
}

// A rebuild that was stopped when a lost event had come, and what waited for it was not read
// again yet, reads it when it goes on.
func TestRebuild_from_topics_that_goes_on_reads_again_what_has_waited(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 10}, Deposited{Cents: 100})
	e := g.history()
	g.tell(eventSource, g.life, e[0], e[2])
	p := g.projector(g.balances(), projections.WithProgram("one"))
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Rebuild(ctx, projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" {
			cancel()
		}
	}))
	if err == nil {
		t.Fatal("it was not stopped")
	}
	var schema string
	if err := g.target.pool.QueryRow(t.Context(), `select schema_name from asof.builds`).Scan(&schema); err != nil {
		t.Fatal(err)
	}
	g.target.exec(`update asof.dedup set version = 2`) // as it is then
	g.target.exec(`update ` + schema + `.balances set cents = 11`)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := g.target.number(`select count(*) from asof.builds`); n != 1 {
		t.Fatalf("%d builds: it has begun anew", n)
	}
	if n := g.target.number(`select cents from balances.balances`); n != 111 || g.status(p).Gaps != nil {
		t.Errorf("%d cents, gaps %+v", n, g.status(p).Gaps)
	}
}
