package projections_test

import (
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
	w.exec(`alter table asof.events rename to away`)
	w.exec(`create view asof.events as select * from asof.away where 1 / (select 0) = 0`)
	until(t, "it fails", func() bool {
		return w.number(`select count(*) from asof.projection_builds where failure like '%division by zero%'`) == 1
	})
	w.exec(`drop view asof.events`)
	w.exec(`alter table asof.away rename to events`)
	until(t, "it runs", func() bool { return failure() == "" })
}
