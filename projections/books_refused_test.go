package projections_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// What the books refuse is no event's fault: it is not looked for among the events, and
// nothing of the batch is written.
func TestBooks_that_refuse_are_not_taken_for_an_event(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, poisonedBalances(new(atomic.Bool)))
	w.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.exec(`alter table asof.parked add constraint odd check (key <> 'a-1')`)
	w.append("a-2", Opened{Owner: "bob"})
	w.append("a-1", Deposited{Cents: failsEverywhere})
	stop := start(t, p)
	until(t, "it fails", func() bool {
		s, err := p.Status(t.Context())
		return err == nil && strings.Contains(s.Failure, "odd")
	})
	if s, err := p.Status(t.Context()); err != nil || strings.Contains(s.Failure, "refuses what it comes to") || s.Position != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Of an event that could not be read, and of which the database refuses a row when it can, a
// retry applies the others, once.
func TestRetry_of_a_whole_event_of_which_a_row_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	def := totals()
	def.Order = projections.Commuting
	def.Table = strings.Replace(def.Table, "cents bigint not null", "cents bigint not null check (bucket <> 'all' or cents < 1000)", 1)
	keys := def.Keys
	def.Keys = func(e Event, r es.Recorded) []string {
		if !mended.Load() {
			if err := strike(e, "all"); err != nil {
				panic(err)
			}
		}
		return append(keys(e, r), "of-9")
	}
	p := projections.New(w.store, def)
	w.append("a-1", Deposited{Cents: failsForAll}, Deposited{Cents: 5000}, Deposited{Cents: 7})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 3)
	mended.Store(true)
	done, err := p.RetryAll(t.Context())
	if err != nil || done != (projections.Retried{Applied: 1, Parked: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	const rest = failsForAll + 5000 + 7
	want := map[string]Total{
		"all":  {Bucket: "all", Events: 1, Cents: failsForAll},
		"of-1": {Bucket: "of-1", Events: 3, Cents: rest},
		"of-9": {Bucket: "of-9", Events: 3, Cents: rest},
	}
	same(t, want, tableOf(w, "totals.totals", byBucket))
	if list := wantParked(t, p, w.store, 2); list[0].Key != "all" || list[0].Attempts != 1 || list[0].Event.Version != 2 || list[1].Key != "all" || list[1].Event.Version != 3 {
		t.Errorf("%+v", list)
	}
}

// What one projection skips, another applies.
func TestSkip_is_of_one_projection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, other := poisonedBalances(new(atomic.Bool)), balances()
	other.Name = "others"
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Skip(t.Context(), w.history()[1].ID, "not here"); err != nil {
		t.Fatal(err)
	}
	if err := projections.New(w.store, other).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantBalances("others.balances")
	same(t, w.foldBalances(without(w.history(), w.history()[1])), tableOf(w, "balances.balances", byAccount))
}
