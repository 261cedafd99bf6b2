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
