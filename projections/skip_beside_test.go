package projections_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// A rebuild that begins while a skip is under way, which does not see it, leaves the event out
// too.
func TestSkip_under_way_holds_for_a_rebuild_that_begins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedBalances(new(atomic.Bool))
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended := new(atomic.Bool)
	mended.Store(true)
	v2 := poisonedBalances(mended)
	v2.Version = 2
	rebuilt := make(chan error, 1)
	tracer := &between{after: "lease_until > clock_timestamp()", do: func() { // the skip has seen no rebuild
		go func() { rebuilt <- projections.New(w.store, v2).Rebuild(t.Context()) }()
		until(t, "the rebuild waits for the skip", func() bool {
			return w.number(`select count(*) from asof.builds where status = 'building'`) == 1 &&
				w.number(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0
		})
	}}
	if _, err := projections.New(w.otherPool(tracer), def).Skip(t.Context(), w.history()[1].ID, "an old mistake"); err != nil && !errors.Is(err, projections.ErrInvalid) && !errors.Is(err, projections.ErrBusy) {
		t.Fatal(err)
	}
	if err := <-rebuilt; err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select version from asof.builds where status = 'live'`); n != 2 {
		t.Errorf("version %d is live", n)
	}
	same(t, w.foldBalances(without(w.history(), w.history()[1])), tableOf(w, "balances.balances", byAccount))
}

// A skip that could not try again what waits behind the event is done, and may be repeated.
func TestSkip_may_be_repeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedTotals(new(atomic.Bool))
	p := projections.New(w.store, def)
	w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsForAll}, Deposited{Cents: 200})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	event := w.history()[1].ID
	def.Version = 2
	if _, err := projections.New(w.store, def).Skip(t.Context(), event, "not for all"); !errors.Is(err, projections.ErrAnotherProgram) || !contains(err, "is skipped") {
		t.Errorf("by a program of another version: %v", err)
	}
	wantParked(t, p, w.store, 1)
	if done, err := p.Skip(t.Context(), event, "never for all"); err != nil || done != (projections.Retried{Applied: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err := p.Skip(t.Context(), event, "never for all"); err != nil || done != (projections.Retried{}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 0)
	if list, err := projections.ListSkipped(t.Context(), w.store); err != nil || len(list) != 1 || list[0].Key != "all" || list[0].Reason != "never for all" {
		t.Errorf("%+v, %v", list, err)
	}
	want := map[string]Total{"all": {Bucket: "all", Events: 2, Cents: 300}, "of-1": {Bucket: "of-1", Events: 3, Cents: 300 + failsForAll}}
	same(t, want, tableOf(w, "totals.totals", byBucket))
}

// What a kept build has parked for rows that the skip is not about stays parked.
func TestSkip_for_a_row_leaves_what_a_kept_build_has_parked_for_others(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := poisonedTotals(new(atomic.Bool))
	old.Keys = func(_ Event, r es.Recorded) []string { return []string{"one", "two"} }
	old.TryApply = func(t *Total, e Event, r es.Recorded) error {
		totals().Apply(t, e, r)
		if t.Bucket == "one" {
			return strike(e, "all")
		}
		return nil
	}
	p1 := projections.New(w.store, old)
	w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsForAll})
	if err := p1.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	def := poisonedTotals(new(atomic.Bool))
	def.Version = 2
	p2 := projections.New(w.store, def)
	if err := p2.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p2.Skip(t.Context(), w.history()[1].ID, "not for all"); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p2, w.store, 0)
	if err := p1.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := wantParked(t, p1, w.store, 1); list[0].Key != "one" {
		t.Errorf("%+v", list)
	}
}

// A kept build that has applied the event is left as it is.
func TestSkip_leaves_a_kept_build_that_has_applied_the_event(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p1 := projections.New(w.store, poisonedBalances(mendedAlready()))
	w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsEverywhere})
	if err := p1.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	def := poisonedBalances(new(atomic.Bool))
	def.Version = 2
	p2 := projections.New(w.store, def)
	if err := p2.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p2.Skip(t.Context(), w.history()[1].ID, "not for this version"); err != nil {
		t.Fatal(err)
	}
	if err := p1.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantBalances("balances.balances")
}

func mendedAlready() *atomic.Bool {
	mended := new(atomic.Bool)
	mended.Store(true)
	return mended
}

// A stopped rebuild that has parked the event for a row, and applied it to another, is dropped
// when the event is skipped for all.
func TestSkip_drops_a_stopped_rebuild_that_has_applied_the_event_to_some_rows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, poisonedTotals(new(atomic.Bool)))
	w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsEverywhere})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-1", Deposited{Cents: 200})
	def := poisonedTotals(new(atomic.Bool))
	def.Version, def.TryApply = 2, func(t *Total, e Event, r es.Recorded) error {
		totals().Apply(t, e, r)
		if t.Bucket == "all" {
			return strike(e, "")
		}
		return nil
	}
	stopped := projections.New(w.store, def)
	ctx, cancel := context.WithCancel(t.Context())
	err := stopped.Rebuild(ctx, projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" {
			cancel()
		}
	}))
	if err == nil {
		t.Fatal("it was not stopped")
	}
	if _, err := p.Skip(t.Context(), w.history()[1].ID, "no"); err != nil {
		t.Fatal(err)
	}
	if err := stopped.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, w.foldTotals(without(w.history(), w.history()[1])), tableOf(w, "totals.totals", byBucket))
	wantParked(t, stopped, w.store, 0)
}

// A program with one connection finds what is refused, retries, skips and reads as of a
// moment, while its projector follows.
func TestParking_needs_no_second_connection(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, pgstoretest.New(t, pgstoretest.MaxConns(1)))
	def := amounts(new(atomic.Bool))
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	last := w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 200}, Deposited{Cents: 5000}, Deposited{Cents: 300})
	w.append("a-2", Deposited{Cents: 5000}, Deposited{Cents: 400})
	reach(t, p, last+2)
	wantParked(t, p, w.store, 6)
	ctx := within(t, patient)
	if done, err := p.RetryAll(ctx); err != nil || done.Applied != 0 || done.Parked == 0 {
		t.Errorf("%+v, %v", done, err)
	}
	for _, at := range []int{1, 3, 5} {
		if _, err := p.Skip(ctx, w.history()[at].ID, "no"); err != nil {
			t.Error(err)
		}
	}
	wantParked(t, p, w.store, 0)
	got := tableOf(w, "totals.totals", byNumber)
	if row := got["one"]; row.Events != 4 || row.Cents != 1000 || got["9"].Events != 7 {
		t.Errorf("%+v", got)
	}
	err := p.AsOf(ctx, es.AtPosition(last+2), func(ctx context.Context, tx pgx.Tx) error {
		var n int64
		err := tx.QueryRow(ctx, `select cents from totals where bucket = 'one'`).Scan(&n)
		if n != 1000 {
			t.Errorf("as of the end: %d", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
