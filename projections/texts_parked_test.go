package projections_test

import (
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// textsByVersion is amounts whose first event of each stream has another text of the row's key
// than the later ones.
func textsByVersion(mended *atomic.Bool) projections.Fold[Total, Event] {
	def := amounts(mended)
	def.Keys = func(_ Event, r es.Recorded) []string {
		if r.Version == 1 {
			return []string{"one", "9"}
		}
		return []string{"ONE", "9"}
	}
	return def
}

// cents is what the row 1 has.
func (w *world) centsOfOne() int64 {
	w.Helper()
	return w.number(`select coalesce(sum(cents), 0) from totals.totals where bucket = 'one'`)
}

// What is retried is parked by the text that its sequence began with, and the event that is
// tried may have another.
func TestRetry_of_an_event_that_has_another_text_of_the_key_applies_it(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, textsByVersion(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	reach(t, p, w.append("a-1", Deposited{Cents: failsEverywhere}))
	reach(t, p, w.append("a-1", Deposited{Cents: 100}))
	list := wantParked(t, p, w.store, 2)
	if list[0].Key != "one" || list[1].Key != "one" {
		t.Fatalf("%+v", list)
	}
	mended.Store(true)
	for n, want := range []int64{failsEverywhere, failsEverywhere + 100} {
		if done, err := p.RetryEvent(t.Context(), list[n].Event.ID); err != nil || done != (projections.Retried{Applied: 1}) {
			t.Errorf("event %d: %+v, %v", n+1, done, err)
		}
		if cents := w.centsOfOne(); cents != want {
			t.Errorf("after event %d the row has %d cents, want %d", n+1, cents, want)
		}
	}
	wantParked(t, p, w.store, 0)
}

// What fails again of a sequence, and what waits behind it, stays one sequence: it keeps the
// text that it began with.
func TestRetry_that_fails_again_keeps_the_text_of_the_sequence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, textsByVersion(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	reach(t, p, w.append("a-1", Deposited{Cents: failsEverywhere}))
	reach(t, p, w.append("a-1", Deposited{Cents: failsEverywhere}))
	reach(t, p, w.append("a-1", Deposited{Cents: 100}))
	first := wantParked(t, p, w.store, 3)[0]
	mended.Store(true)
	if done, err := p.RetryEvent(t.Context(), first.Event.ID); err != nil || done.Applied != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	mended.Store(false)
	if done, err := p.RetrySequence(t.Context(), account("a-1")); err != nil || done != (projections.Retried{Parked: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	for _, u := range wantParked(t, p, w.store, 2) {
		if u.Key != "one" {
			t.Errorf("version %d is parked by %q", u.Event.Version, u.Key)
		}
	}
	reach(t, p, w.append("a-1", Deposited{Cents: 1000})) // it waits behind them
	wantParked(t, p, w.store, 3)
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Applied: 3}) {
		t.Errorf("%+v, %v", done, err)
	}
	if cents := w.centsOfOne(); cents != 2*failsEverywhere+1100 {
		t.Errorf("the row has %d cents", cents)
	}
	wantParked(t, p, w.store, 0)
}

// In a build where the row came into memory by another text, what is skipped is left out too.
func TestSkip_holds_where_another_text_of_the_key_came_first(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, amounts(new(atomic.Bool)))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	reach(t, p, w.append("a-2", Deposited{Cents: 200})) // ONE, which is forgotten by then
	last := w.append("a-1", Deposited{Cents: failsEverywhere})
	reach(t, p, last)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	event := wantParked(t, p, w.store, 1)[0].Event.ID
	if _, err := p.Skip(t.Context(), event, "not for 1"); err != nil {
		t.Fatal(err)
	}
	if list, err := projections.ListSkipped(t.Context(), w.store); err != nil || len(list) != 1 || list[0].Key != "one" {
		t.Fatalf("%+v, %v", list, err)
	}
	mended := new(atomic.Bool)
	mended.Store(true)
	p = projections.New(w.store, amounts(mended)) // by which nothing of the event fails
	want := map[string]Total{"one": {Bucket: "ONE", Events: 1, Cents: 200}, "9": {Bucket: "9", Events: 2}}
	check := func(got map[string]Total) {
		t.Helper()
		row := got["one"]
		row.Bucket = "ONE"
		got["one"] = row
		same(t, want, got)
	}
	check(asOf(w, p, es.AtPosition(last), "totals", byNumber))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(tableOf(w, "totals.totals", byNumber))
	wantParked(t, p, w.store, 0)
}
