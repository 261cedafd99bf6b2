package projections_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// An event that Kafka has brought is applied, though the position has not come to it.
func TestSkip_of_an_event_that_Kafka_has_brought_is_refused(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.projector(c.totals())
	start(t, p)
	c.untilReading(p)
	c.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	c.publish(c.history()...)
	c.untilRead(p)
	event := c.history()[1]
	if position := c.status(p).Position; position >= event.Position {
		t.Fatalf("the position is %d, and of the event %d", position, event.Position)
	}
	if _, err := p.Skip(t.Context(), event.ID, "no"); !errors.Is(err, projections.ErrApplied) {
		t.Errorf("got %v", err)
	}
	c.wantTotals("totals.totals")
}

// A program that has in memory what is parked notices that another has skipped it, with
// nothing behind it.
func TestProjector_notices_a_skip_elsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, poisonedBalances(new(atomic.Bool)))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	reach(t, p, w.append("a-1", Deposited{Cents: failsEverywhere}))
	event := wantParked(t, p, w.store, 1)[0].Event
	if done, err := projections.New(w.store, poisonedBalances(new(atomic.Bool))).Skip(t.Context(), event.ID, "no"); err != nil || done != (projections.Retried{}) {
		t.Fatalf("%+v, %v", done, err)
	}
	reach(t, p, w.append("a-1", Deposited{Cents: 100}))
	wantParked(t, p, w.store, 0)
	same(t, w.foldBalances(w.history()[1:]), tableOf(w, "balances.balances", byAccount))
}

// An event that no row has is skipped as a whole: a later version, which has other rows, leaves
// it out too.
func TestSkip_of_an_event_that_no_row_has_holds_for_other_rows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedTotals(new(atomic.Bool))
	p := projections.New(w.store, def)
	w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 200})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 4)
	if done, err := p.Skip(t.Context(), w.history()[1].ID, "for none"); err != nil || done != (projections.Retried{Applied: 2}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if list, err := projections.ListSkipped(t.Context(), w.store); err != nil || len(list) != 1 || list[0].Key != "" {
		t.Errorf("%+v, %v", list, err)
	}
	mended := new(atomic.Bool)
	mended.Store(true)
	def = poisonedTotals(mended)
	def.Version, def.Keys = 2, func(Event, es.Recorded) []string { return []string{"another"} }
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, map[string]Total{"another": {Bucket: "another", Events: 2, Cents: 300}}, tableOf(w, "totals.totals", byBucket))
}

// An event that is skipped for a row, and parked for another by a later version, is skipped for
// that one too.
func TestSkip_of_an_event_that_is_skipped_for_another_row(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedTotals(new(atomic.Bool))
	p := projections.New(w.store, def)
	w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsForAll}, Deposited{Cents: 200})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	event := w.history()[1].ID
	if _, err := p.Skip(t.Context(), event, "not for all"); err != nil {
		t.Fatal(err)
	}
	def.Version, def.Keys = 2, func(Event, es.Recorded) []string { return []string{"one", "two"} }
	def.TryApply = func(row *Total, e Event, r es.Recorded) error {
		totals().Apply(row, e, r)
		if row.Bucket == "one" && cents(e) == failsForAll {
			return errUnlucky
		}
		return nil
	}
	p2 := projections.New(w.store, def)
	if err := p2.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p2, w.store, 2)
	if done, err := p2.Skip(t.Context(), event, "nor for one"); err != nil || done != (projections.Retried{Applied: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p2, w.store, 0)
	want := map[string]Total{"one": {Bucket: "one", Events: 2, Cents: 300}, "two": {Bucket: "two", Events: 3, Cents: 300 + failsForAll}}
	same(t, want, tableOf(w, "totals.totals", byBucket))
	if list, err := projections.ListSkipped(t.Context(), w.store); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}
