package projections_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// without is a history but for some events.
func without(history []es.RecordedEvent, left ...es.RecordedEvent) []es.RecordedEvent {
	var out []es.RecordedEvent
	for _, e := range history {
		keep := true
		for _, l := range left {
			keep = keep && e.ID != l.ID
		}
		if keep {
			out = append(out, e)
		}
	}
	return out
}

func TestSkip_holds_live_rebuilt_as_of_and_for_later_versions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedBalances(new(atomic.Bool))
	p := projections.New(w.store, def)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	w.unreadable("a-1")
	last := w.append("a-1", Deposited{Cents: 200})
	start(t, p)
	reach(t, p, last)
	history := w.history()
	wantParked(t, p, w.store, 4)

	if _, err := p.Skip(t.Context(), history[1].ID, "  "); !errors.Is(err, projections.ErrInvalid) || !contains(err, "say why") {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := p.Skip(t.Context(), history[0].ID, "no"); !errors.Is(err, projections.ErrApplied) || !contains(err, "account/a-1") {
		t.Errorf("an event that is applied: %v", err)
	}
	if _, err := p.Skip(t.Context(), es.NewID(), "no"); !errors.Is(err, projections.ErrNotParked) {
		t.Errorf("an event that nobody knows: %v", err)
	}
	wantParked(t, p, w.store, 4)

	done, err := p.Skip(t.Context(), history[1].ID, "an old mistake")
	if err != nil || done.Applied != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 2)
	if done, err = p.Skip(t.Context(), history[3].ID, "cannot be read"); err != nil || done.Applied != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 0)
	left := without(history, history[1], history[3])
	w.wait(p, last)
	same(t, w.foldBalances(left), tableOf(w, "balances.balances", byAccount))
	same(t, w.foldBalances(left), asOf(w, p, es.AtPosition(last), "balances", byAccount))
	list, err := projections.ListSkipped(t.Context(), w.store, "balances")
	if err != nil || len(list) != 2 || list[0].Event != history[1].ID || list[0].Reason != "an old mistake" || list[0].Key != "" || list[0].At.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := projections.ListSkipped(t.Context(), w.store, "others"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	def.Version = 2
	p2 := projections.New(w.store, def)
	if err := p2.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, w.foldBalances(left), tableOf(w, "balances.balances", byAccount))
	wantParked(t, p2, w.store, 0)
	w.wantApplied("balances")
}

// Of an event that some rows have, a skip leaves out the others alone: so do all later
// builds.
func TestSkip_of_an_event_that_some_rows_have(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, poisonedTotals(new(atomic.Bool)))
	last := w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsForAll}, Deposited{Cents: 200})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := wantParked(t, p, w.store, 2); list[0].Key != "all" {
		t.Fatalf("%+v", list)
	}
	if done, err := p.Skip(t.Context(), w.history()[1].ID, "not for all"); err != nil || done.Applied != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	want := map[string]Total{"all": {Bucket: "all", Events: 2, Cents: 300}, "of-1": {Bucket: "of-1", Events: 3, Cents: 300 + failsForAll}}
	same(t, want, tableOf(w, "totals.totals", byBucket))
	wantParked(t, p, w.store, 0)
	same(t, want, asOf(w, p, es.AtPosition(last), "totals", byBucket))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, want, tableOf(w, "totals.totals", byBucket))
	wantParked(t, p, w.store, 0)
	if list, err := projections.ListSkipped(t.Context(), w.store); err != nil || len(list) != 1 || list[0].Key != "all" {
		t.Errorf("%+v, %v", list, err)
	}
}

// A program of another version may skip, but not retry what waits behind.
func TestSkip_by_a_program_of_another_version_says_what_is_done(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedBalances(new(atomic.Bool))
	p := projections.New(w.store, def)
	w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	def.Version = 2
	_, err := projections.New(w.store, def).Skip(t.Context(), w.history()[0].ID, "no")
	if !errors.Is(err, projections.ErrAnotherProgram) || !contains(err, "is skipped, but what waits behind it is still parked: retry it") {
		t.Error(err)
	}
	if list := wantParked(t, p, w.store, 1); list[0].Event.ID != w.history()[1].ID {
		t.Errorf("%+v", list)
	}
	if done, err := p.RetryAll(t.Context()); err != nil || done.Applied != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	same(t, w.foldBalances(without(w.history(), w.history()[0])), tableOf(w, "balances.balances", byAccount))
}

// Where nothing is parked, an event that stops the projector is skipped before it comes.
func TestSkip_lets_a_definition_go_on_that_needs_the_order_of_the_log(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedBalances(new(atomic.Bool))
	def.Order = projections.LogOrder
	p := projections.New(w.store, def)
	w.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	var event *projections.EventError
	if err := p.Run(within(t, patient)); !errors.As(err, &event) {
		t.Fatal(err)
	}
	if !contains(event, "skip event "+w.history()[1].ID.String()) {
		t.Errorf("who reads it cannot skip the event: %v", event)
	}
	if _, err := p.Skip(t.Context(), event.Event.ID, "stops all"); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	w.wait(p, last)
	same(t, w.foldBalances(without(w.history(), w.history()[1])), tableOf(w, "balances.balances", byAccount))
}

// A rebuild that was stopped behind the event has applied it, and would go on with it.
func TestSkip_drops_what_a_stopped_rebuild_has_applied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	def := poisonedBalances(mended)
	p := projections.New(w.store, def)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{Cents: 100})
	mended.Store(true)
	def.Version = 2
	stopped := projections.New(w.store, def)
	var during error
	ctx, cancel := context.WithCancel(t.Context())
	err := stopped.Rebuild(ctx, projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" {
			_, during = p.Skip(t.Context(), w.history()[1].ID, "no")
			cancel()
		}
	}))
	if err == nil || !errors.Is(during, projections.ErrBusy) {
		t.Fatalf("%v; skipped beside a rebuild: %v", err, during)
	}
	if n := w.number(`select count(*) from asof.builds where status = 'building'`); n != 1 {
		t.Fatalf("%d builds are left of the rebuild", n)
	}
	if _, err := p.Skip(t.Context(), w.history()[1].ID, "no"); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from asof.builds where status = 'building'`); n != 0 {
		t.Errorf("%d builds have applied what is skipped", n)
	}
	if err := stopped.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, w.foldBalances(without(w.history(), w.history()[1])), tableOf(w, "balances.balances", byAccount))
}
