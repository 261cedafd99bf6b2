package projections_test

import (
	"errors"
	"testing"

	"github.com/asof-dev/asof/projections"
)

func TestRun_follows_the_log(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 20 {
		w.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: int64(i)})
	}
	p := projections.New(w.store, balances())
	start(t, p)
	q := projections.New(w.store, totals())
	start(t, q)
	for i := range 20 {
		last := w.append(name(i), Withdrawn{Cents: 1})
		w.wait(p, last)
		w.wait(q, last)
	}
	w.wantBalances("balances.balances")
	w.wantTotals("totals.totals")
	status, err := p.Status(t.Context())
	if err != nil || status.Lag != 0 || status.Version != 1 || status.Source != "log" || status.Building != nil {
		t.Fatalf("%+v, %v", status, err)
	}
}

func TestFailure_is_gone_when_it_runs_with_nothing_to_do(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, balances())
	w.append("a-1", Opened{Owner: "ann"})
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 3}))
	failure := func() string {
		s, err := p.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Failure
	}
	w.exec(`alter table asof.events rename to away;
		create view asof.events as select * from asof.away where 1 / (select 0) = 0`) // in one transaction: no tables would be final
	until(t, "it fails", func() bool {
		return w.number(`select count(*) from asof.builds where failure like '%division by zero%'`) == 1
	})
	w.exec(`drop view asof.events; alter table asof.away rename to events`)
	until(t, "it runs", func() bool { return failure() == "" })
}

func TestOptions_that_make_no_projector_are_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for what, p := range map[string]*projections.Projector{
		"no store":   projections.New(nil, balances()),
		"no events":  projections.New(w.store, balances(), projections.WithBatch(0)),
		"no rows":    projections.New(w.store, balances(), projections.WithConcurrency(0)),
		"no pause":   projections.New(w.store, balances(), projections.WithPoll(0)),
		"less":       projections.New(w.store, balances(), projections.WithPoll(-1)),
		"no logger":  projections.New(w.store, balances(), projections.WithLogger(nil)),
		"no batches": projections.New(w.store, balances(), projections.WithBatch(-3)),
	} {
		for call, err := range map[string]error{
			"Run": p.Run(t.Context()), "Rebuild": p.Rebuild(t.Context()), "WaitFor": p.WaitFor(t.Context(), 0),
		} {
			if !errors.Is(err, projections.ErrInvalid) {
				t.Errorf("%s, %s: %v", what, call, err)
			}
		}
	}
}
