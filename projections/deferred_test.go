package projections_test

import (
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// slots has a row for all and one for each stream, whose cents no other row has: the database
// says so at the end of a transaction.
func slots() projections.Fold[Total, Event] {
	def := totals()
	def.Order = projections.Commuting
	def.Table = `create table totals (bucket text primary key, events bigint not null, cents bigint not null unique deferrable initially deferred)`
	def.Apply = func(t *Total, e Event, r es.Recorded) {
		t.Events++
		if t.Bucket == "all" {
			t.Cents = -t.Events
		} else {
			t.Cents = cents(e)
		}
	}
	return def
}

// What the database refuses at the end alone is found in a rehearsal, which has no end: the
// row that is refused is parked, and the other has the event.
func TestRow_that_is_refused_at_the_end_alone_is_found(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"live", "rebuilt"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := projections.New(w.store, slots())
			if way == "live" {
				start(t, p)
			}
			w.append("a-1", Deposited{Cents: 100})
			last := w.append("a-2", Deposited{Cents: 100})
			if way == "rebuilt" {
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			reach(t, p, last)
			check := func() {
				t.Helper()
				if list := wantParked(t, p, w.store, 1); list[0].Key != "of-2" || list[0].Error == "" {
					t.Fatalf("%+v", list)
				}
				want := map[string]Total{"all": {Bucket: "all", Events: 2, Cents: -2}, "of-1": {Bucket: "of-1", Events: 1, Cents: 100}}
				same(t, want, tableOf(w, "totals.totals", byBucket))
				same(t, want, asOf(w, p, es.AtPosition(last), "totals", byBucket))
			}
			check()
			if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Parked: 1}) {
				t.Errorf("%+v, %v", done, err)
			}
			check()
		})
	}
}

// So does a read as of a moment whose first event is refused: until one has passed, the
// database checks nothing before the end.
func TestAsOf_finds_the_row_that_is_refused_at_the_end_alone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, slots())
	last := w.append("a-1", Deposited{Cents: -1}) // as all has
	want := map[string]Total{"all": {Bucket: "all", Events: 1, Cents: -1}}
	same(t, want, asOf(w, p, es.AtPosition(last), "totals", byBucket))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, want, tableOf(w, "totals.totals", byBucket))
	if list := wantParked(t, p, w.store, 1); list[0].Key != "of-1" {
		t.Errorf("%+v", list)
	}
}
