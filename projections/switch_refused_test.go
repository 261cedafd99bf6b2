package projections_test

import (
	"testing"
	"time"

	"github.com/asof-dev/asof/projections"
)

// The live build, which nobody follows with, would have to apply what the database refuses
// before it can be compared: then it is replaced as it is.
func TestSwitch_does_not_compare_a_live_build_that_lacks_what_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := refusals()["a check"]
	def := of.refusing()
	def.Order = projections.OneStream
	p := projections.New(w.store, def)
	w.append("a-1", Opened{Owner: "taken"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{Cents: 2}, of.bad, Deposited{Cents: 3})
	var last projections.Progress
	err := p.Rebuild(within(t, 20*time.Second), projections.WithProgress(func(progress projections.Progress) { last = progress }))
	if err != nil || last.Phase != "live" || last.Compared {
		t.Fatalf("%+v, %v", last, err)
	}
	if list := wantParked(t, p, w.store, 1); list[0].Event.Version != 3 {
		t.Errorf("%+v", list)
	}
	if n := w.number(`select count(*) from x.x`); n != 3 {
		t.Errorf("%d rows", n)
	}
}
