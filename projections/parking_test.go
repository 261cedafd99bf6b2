package projections_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

const patient = 40 * time.Second

func TestWhat_cannot_be_applied_is_parked_and_the_rest_goes_on(t *testing.T) {
	t.Parallel()
	for what, poison := range map[string]func(w *world) es.Position{
		"an event that does not decode": func(w *world) es.Position { return w.unreadable("a-1") },
		"an error":                      func(w *world) es.Position { return w.append("a-1", Deposited{Cents: failsEverywhere}) },
		"a panic":                       func(w *world) es.Position { return w.append("a-1", Deposited{Cents: panicsHalfWay}) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := projections.New(w.store, poisonedBalances(new(atomic.Bool)))
			w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
			w.append("a-2", Opened{Owner: "bob"})
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			start(t, p)
			bad := poison(w)
			later := w.append("a-1", Deposited{Cents: 7})
			other := w.append("a-2", Deposited{Cents: 8})
			w.wait(p, other)
			rows, n := w.lackingBalances(w.history(), false)
			if n != 2 {
				t.Fatalf("the test parks %d", n)
			}
			same(t, rows, tableOf(w, "balances.balances", byAccount))
			list := wantParked(t, p, w.store, 2)
			if first, second := list[0], list[1]; first.Event.Position != bad || first.Error == "" || first.Attempts != 1 || first.First.IsZero() ||
				second.Event.Position != later || second.Error != "" || second.Attempts != 0 || first.Event.Stream != account("a-1") || first.Version != 1 {
				t.Errorf("%+v", list)
			}
			for _, position := range []es.Position{bad, later} {
				var parked *projections.ParkedError
				if err := p.WaitFor(within(t, time.Second*20), position); !errors.As(err, &parked) || parked.Stream != account("a-1") || parked.Version != 3 || parked.Reason != list[0].Error {
					t.Errorf("waited for what is parked: %v", err)
				}
			}
			shown, err := projections.ShowParked(t.Context(), w.store, "balances", list[0].Event.ID)
			if err != nil || len(shown) != 1 || string(shown[0].Event.Data) != string(w.history()[3].Data) || shown[0].Event.Type != "account.deposited" || !shown[0].Event.RecordedAt.Equal(w.history()[3].RecordedAt) {
				t.Errorf("%+v, %v", shown, err)
			}
			if _, err := projections.ShowParked(t.Context(), w.store, "balances", es.NewID()); !errors.Is(err, projections.ErrNotParked) {
				t.Error(err)
			}
		})
	}
}

// Of an event that is parked for a row it is told why that one is: another row of its stream
// may be parked for another reason, and longer.
func TestWaitFor_says_why_the_row_is_parked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedTotals(new(atomic.Bool))
	def.Keys = func(e Event, _ es.Recorded) []string {
		if cents(e) == failsForAll {
			return []string{"all"}
		}
		return []string{"other"}
	}
	p := projections.New(w.store, def)
	w.append("a-1", Deposited{Cents: failsForAll})
	last := w.append("a-1", Deposited{Cents: failsEverywhere})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	var parked *projections.ParkedError
	if err := p.WaitFor(within(t, patient), last); !errors.As(err, &parked) || parked.Version != 2 || parked.Key != "other" {
		t.Errorf("%v", err)
	}
}

// Whatever the history, and whatever of it cannot be read or applied: live, rebuilt and
// as-of rows are those of what is not parked; and what was parked is applied when the
// program is mended, so that all is as if it had never been wrong.
func TestAny_history_with_poison_is_the_same_live_rebuilt_and_as_of(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var round atomic.Int64
	rounds, failed := int64(checks(t)/2), false // TestAny_history_of_any_deeds has poison, too
	rapid.Check(t, func(t *rapid.T) {
		n := round.Add(1)
		if n > rounds && !failed { // else it shrinks what has failed
			return
		}
		good := false
		defer func() { failed = failed || !good }()
		category := fmt.Sprintf("account%d", n)
		mended := new(atomic.Bool)
		def, sums := poisonedBalances(mended), poisonedTotals(mended)
		def.Name, def.Categories = fmt.Sprintf("balances%d", n), []string{category}
		sums.Name, sums.Categories = fmt.Sprintf("totals%d", n), []string{category}
		small := projections.WithBatch(rapid.IntRange(1, 9).Draw(t, "batch"))
		memory := projections.WithMemory(rapid.SampledFrom([]int{1, 1000, 8 * 700, 1 << 20}).Draw(t, "bytes in memory"))
		chunk := projections.WithChunk(rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "chunk"))
		beside := projections.WithBeside(rapid.SampledFrom([]int{1, 3}).Draw(t, "rows at once"))
		rows, buckets := projections.New(w.store, def, small, memory, beside), projections.New(w.store, sums, small, memory, beside)

		history := poisonedSteps(w).Draw(t, "history")
		built := rapid.IntRange(0, len(history)).Draw(t, "appended before the first build")
		all := w.play(t, category, history[:built])
		rebuild := func() {
			for _, p := range []*projections.Projector{rows, buckets} {
				var last projections.Progress
				err := p.Rebuild(w.Context(), chunk, projections.WithProgress(func(p projections.Progress) { last = p }))
				if err != nil || last.Differing != 0 {
					t.Fatalf("rebuild: %v, %+v", err, last)
				}
			}
		}
		check := func(what string) {
			wantRows, parked := w.lackingBalances(all, mended.Load())
			equal(t, what+" balances", wantRows, readTable(w, w.pool, def.Name+".balances", byAccount))
			wantParked(w, rows, w.store, parked)
			wantTotals, parked := w.lackingTotals(all, mended.Load())
			equal(t, what+" totals", wantTotals, readTable(w, w.pool, sums.Name+".totals", byBucket))
			wantParked(w, buckets, w.store, parked)
		}
		rebuild()
		all = append(all, w.play(t, category, history[built:])...)
		follow(t, all[len(all)-1].Position, rows, buckets)
		check("live")

		moment := rapid.SampledFrom(all).Draw(t, "moment")
		for _, at := range []es.AsOf{es.AtPosition(moment.Position), es.AtPosition(all[len(all)-1].Position)} {
			wantRows, _ := w.lackingBalances(prefix(all, at), false)
			equal(t, "balances as of "+at.String(), wantRows, asOf(w, rows, at, "balances", byAccount))
			wantTotals, _ := w.lackingTotals(prefix(all, at), false)
			equal(t, "totals as of "+at.String(), wantTotals, asOf(w, buckets, at, "totals", byBucket))
		}
		if rapid.Bool().Draw(t, "is rebuilt before it is mended") {
			rebuild()
			check("rebuilt")
		}
		mended.Store(true)
		for _, p := range []*projections.Projector{rows, buckets} {
			if _, err := p.RetryAll(w.Context()); err != nil {
				t.Fatal(err)
			}
		}
		check("retried")
		rebuild()
		check("rebuilt again")
		good = true
	})
}

// poisonedSteps are histories in which some events cannot be read, or not be applied.
func poisonedSteps(w *world) *rapid.Generator[[]step] {
	event := rapid.Custom(func(t *rapid.T) es.EventData {
		var e Event = Deposited{Cents: rapid.Int64Range(100, 1<<40).Draw(t, "cents")}
		switch rapid.IntRange(0, 15).Draw(t, "kind") {
		case 0:
			return es.EventData{ID: es.NewID(), Type: "account.audited", Data: []byte(`{}`)}
		case 1:
			return es.EventData{ID: es.NewID(), Type: "account.deposited", Data: []byte(`{"Cents":"many"}`)}
		case 2:
			e = Deposited{Cents: failsEverywhere}
		case 3, 4:
			e = Deposited{Cents: failsForAll}
		case 5:
			e = Deposited{Cents: panicsHalfWay}
		case 6:
			e = Opened{Owner: "ann"}
		case 7, 8:
			e = Withdrawn{Cents: rapid.Int64Range(100, 1<<40).Draw(t, "cents")}
		}
		data, err := w.codec.Encode(w.Context(), es.StreamID{}, e)
		if err != nil {
			t.Fatal(err)
		}
		return data
	})
	return stepsOf(event)
}

func TestProjector_with_more_than_may_be_parked_stops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 6 {
		w.append(name(n), Deposited{Cents: failsEverywhere})
	}
	if err := projections.New(w.store, poisonedBalances(new(atomic.Bool)), projections.WithParked(6)).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := projections.New(w.store, poisonedBalances(new(atomic.Bool)), projections.WithParked(6))
	wantParked(t, p, w.store, 6)
	w.append(name(7), Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere})
	var event *projections.EventError
	err := p.Run(within(t, patient))
	if !errors.Is(err, projections.ErrTooManyParked) || !errors.As(err, &event) || event.Event.Stream != account(name(7)) {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 6)
	if n := w.number(`select count(*) from balances.balances`); n != 0 {
		t.Errorf("%d rows: something of the batch was written", n)
	}
	if s, err := p.Status(t.Context()); err != nil || s.Failure == "" || s.Lag != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	none := projections.New(w.store, poisonedBalances(new(atomic.Bool)), projections.WithParked(0))
	if err := none.Rebuild(t.Context()); !errors.As(err, &event) || errors.Is(err, projections.ErrTooManyParked) {
		t.Errorf("where nothing may be parked: %v", err)
	}
}

func TestDefinition_that_needs_the_order_of_the_log_stops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedBalances(new(atomic.Bool))
	def.Order = projections.LogOrder
	p := projections.New(w.store, def)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere})
	var event *projections.EventError
	if err := p.Run(within(t, patient)); !errors.As(err, &event) || event.Event.Version != 2 {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from asof.parked`); n != 0 {
		t.Errorf("%d units are parked", n)
	}
}

func TestError_that_passes_is_tried_again_and_parks_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var tries atomic.Int64
	def := balances()
	def.Order, def.Apply = projections.OneStream, nil
	def.TryApply = func(b *Balance, e Event, r es.Recorded) error {
		if _, ok := e.(Deposited); ok && tries.Add(1) <= 7 { // more often than Run has patience with an event
			return fmt.Errorf("the rates are not there yet: %w", projections.ErrRetry)
		}
		balances().Apply(b, e, r)
		return nil
	}
	p := projections.New(w.store, def)
	w.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	last := w.append("a-1", Deposited{Cents: 5})
	if err := p.WaitFor(within(t, patient), last); err != nil {
		t.Fatal(err)
	}
	w.wantBalances("balances.balances")
	wantParked(t, p, w.store, 0)
}

// A full disk, a query that was cancelled, tables that are missing, a standby that takes no
// writes and locks of others are not the event's.
func TestOutage_parks_nothing(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"53100", "57014", "42P01", "40001", "08006", "25006", "40P01", "55P03"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := balances()
			def.Order = projections.OneStream
			def.Table += `; create sequence tries; create function fail() returns trigger language plpgsql as
				$$ begin if new.cents > 0 and nextval(tg_table_schema || '.tries') <= 3 then raise exception 'an outage' using errcode = '` + code + `'; end if; return new; end $$;
				create trigger fail before insert or update on balances for each row execute function fail()`
			p := projections.New(w.store, def)
			w.append("a-1", Opened{Owner: "ann"})
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			last := w.append("a-1", Deposited{Cents: 5})
			err := errors.New("not begun")
			for try := 0; err != nil && try < 9; try++ { // some of these end a Run
				ctx, cancel := context.WithCancel(within(t, patient))
				ended := make(chan error, 1)
				go func() { ended <- p.Run(ctx); cancel() }()
				err = p.WaitFor(ctx, last)
				cancel()
				if ran := <-ended; ran != nil {
					t.Log(ran)
				}
			}
			w.wantBalances("balances.balances")
			wantParked(t, p, w.store, 0)
			if tries := w.number(`select last_value from balances.tries`); tries < 4 {
				t.Errorf("it was tried %d times: nothing failed", tries)
			}
		})
	}
}

// What is tried to find the row that is refused does not count.
func TestEvent_is_parked_for_the_row_that_is_refused_though_no_more_may_be(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"live", "rebuilt"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := totals()
			def.Order = projections.Commuting
			def.Table = `create table totals (bucket text primary key, events bigint not null, cents bigint not null, check (bucket <> 'c' or cents < 1000))`
			def.Keys = func(Event, es.Recorded) []string { return []string{"a", "b", "c", "d", "e"} }
			p := projections.New(w.store, def, projections.WithParked(1))
			if way == "live" {
				start(t, p)
			}
			last := w.append("a-1", Deposited{Cents: 100}, Deposited{Cents: 5000})
			if way == "rebuilt" {
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			reach(t, p, last)
			if list := wantParked(t, p, w.store, 1); list[0].Key != "c" {
				t.Errorf("%+v", list)
			}
			if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Parked: 1}) {
				t.Errorf("%+v, %v", done, err)
			}
			whole := Total{Events: 2, Cents: 5100}
			want := map[string]Total{"c": {Bucket: "c", Events: 1, Cents: 100}}
			for _, key := range []string{"a", "b", "d", "e"} {
				whole.Bucket = key
				want[key] = whole
			}
			same(t, want, tableOf(w, "totals.totals", byBucket))
			same(t, want, asOf(w, p, es.AtPosition(last), "totals", byBucket))
		})
	}
}
