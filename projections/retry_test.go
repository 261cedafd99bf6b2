package projections_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

func TestRetry_applies_a_sequence_in_order_up_to_what_fails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, poisonedBalances(mended))
	w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 100}, Deposited{Cents: 200})
	w.unreadable("a-1")
	w.append("a-1", Deposited{Cents: 300})
	w.append("a-2", Deposited{Cents: panicsHalfWay}, Deposited{Cents: 500})
	w.append("a-3", Opened{Owner: "cid"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := wantParked(t, p, w.store, 7)

	if _, err := p.RetryEvent(t.Context(), list[1].Event.ID); !errors.Is(err, projections.ErrWaits) || !contains(err, "waits behind version 1") {
		t.Errorf("an event behind another: %v", err)
	}
	if _, err := p.RetryEvent(t.Context(), es.NewID()); !errors.Is(err, projections.ErrNotParked) {
		t.Errorf("an event that is not parked: %v", err)
	}
	if _, err := p.RetrySequence(t.Context(), account("a-3")); !errors.Is(err, projections.ErrNotParked) {
		t.Errorf("a stream that is not parked: %v", err)
	}
	if _, err := p.RetrySequence(t.Context(), account("a-1"), "nobody"); !errors.Is(err, projections.ErrNotParked) {
		t.Errorf("a sequence that is not parked: %v", err)
	}

	done, err := p.RetryEvent(t.Context(), list[0].Event.ID)
	if err != nil || done != (projections.Retried{Parked: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	again := wantParked(t, p, w.store, 7)[0]
	if again.Attempts != 2 || !again.First.Equal(list[0].First) || !again.Last.After(list[0].Last) || again.Error != list[0].Error {
		t.Errorf("tried again: %+v, before %+v", again, list[0])
	}

	mended.Store(true)
	if done, err = p.RetryEvent(t.Context(), list[0].Event.ID); err != nil || done != (projections.Retried{Applied: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	if n := w.number(`select cents from balances.balances where account = 'a-1'`); n != failsEverywhere {
		t.Errorf("one event was to be applied: %d", n)
	}
	if rest := wantParked(t, p, w.store, 6); rest[0].Event.Version != 2 || rest[0].Attempts != 0 {
		t.Errorf("%+v", rest[0])
	}
	next := w.append("a-1", Deposited{Cents: 400}) // it waits, though nothing of the row fails
	start(t, p)
	reach(t, p, next)
	wantParked(t, p, w.store, 7)
	if done, err = p.RetrySequence(t.Context(), account("a-1")); err != nil || done.Applied != 2 || done.Parked != 3 {
		t.Errorf("%+v, %v", done, err)
	}
	if list = wantParked(t, p, w.store, 5); list[0].Event.Version != 4 || list[0].Attempts != 2 {
		t.Errorf("what cannot be read stays: %+v", list)
	}
	if done, err = p.RetryAll(t.Context()); err != nil || done.Applied != 2 || done.Parked != 3 {
		t.Errorf("%+v, %v", done, err)
	}
	rows, n := w.lackingBalances(w.history(), true)
	same(t, rows, tableOf(w, "balances.balances", byAccount))
	wantParked(t, p, w.store, n)
	w.wantApplied("balances")
	if done, err = p.RetrySequence(t.Context(), account("a-1"), "a-1"); !errors.Is(err, projections.ErrNotParked) {
		t.Errorf("%+v, %v", done, err)
	}
}

// What a retry applies comes once, whoever else retries, follows and dies meanwhile.
func TestRetry_beside_others_applies_once_and_in_order(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, poisonedTotals(mended), projections.WithBatch(20))
	start(t, p)
	stop := w.load(2)
	for n := range 20 {
		w.append(name(n%5), Deposited{Cents: failsForAll + int64(n%2)}, Deposited{Cents: 100})
	}
	until(t, "enough is parked", func() bool {
		s, err := p.Status(t.Context())
		return err == nil && s.Parked > 100
	})
	mended.Store(true)
	conn, err := pgx.ConnectConfig(t.Context(), w.pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var retries sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	var retried atomic.Int64
	for range 2 {
		retries.Go(func() {
			other := projections.New(w.store, poisonedTotals(mended))
			for ctx.Err() == nil {
				done, err := other.RetryAll(ctx)
				retried.Add(int64(done.Applied))
				if err != nil && ctx.Err() == nil {
					t.Log(err)
				}
			}
		})
	}
	for killed := int64(0); killed < 8; {
		var n int64
		err := conn.QueryRow(t.Context(), `
			select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null and query ~ '[.](parked|lanes) '`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		killed += n
	}
	last := stop()
	reach(t, p, last)
	cancel()
	retries.Wait()
	until(t, "all is retried", func() bool {
		_, err := p.RetryAll(t.Context())
		return err == nil
	})
	wantParked(t, p, w.store, 0)
	w.wantTotals("totals.totals")
	w.wantApplied("totals")
	if retried.Load() == 0 {
		t.Error("nothing was retried beside the others")
	}
}

func TestRetry_is_refused_for_another_version(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := poisonedBalances(new(atomic.Bool))
	if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	another, newer := def, def
	another.Table += `; create index on balances (cents)`
	newer.Version = 2
	for _, def := range []projections.Definition{another, newer} {
		if _, err := projections.New(w.store, def).RetryAll(t.Context()); !errors.Is(err, projections.ErrAnotherProgram) || !contains(err, "version 1 is live") {
			t.Error(err)
		}
	}
}

// A sequence may be longer than what is tried at once.
func TestRetry_tries_all_of_a_long_sequence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	events := make([]Event, 1_000)
	for n := range events {
		events[n] = Deposited{Cents: 1}
	}
	w.append("a-1", Deposited{Cents: failsEverywhere})
	w.append("a-1", events...)
	p := projections.New(w.store, poisonedBalances(mended))
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Applied: 1_001}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantBalances("balances.balances")
}

// What a kept build has parked too is none of a retry.
func TestRetry_of_an_event_that_a_kept_build_has_parked_too(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	w.append("a-1", Deposited{Cents: failsEverywhere})
	p := projections.New(w.store, poisonedBalances(mended))
	for range 2 {
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mended.Store(true)
	if done, err := p.RetryEvent(t.Context(), w.history()[0].ID); err != nil || done != (projections.Retried{Applied: 1}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantBalances("balances.balances")
}

// A retry may leave parked what is, though the program's bound is lower than that of the one
// that parked it.
func TestRetry_by_a_program_with_a_lower_bound_parks_again_what_was(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	w.append("a-1", Deposited{Cents: failsEverywhere}, Deposited{Cents: 100}, Deposited{Cents: 200})
	w.append("a-2", Deposited{Cents: failsEverywhere})
	if err := projections.New(w.store, poisonedBalances(mended)).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := projections.New(w.store, poisonedBalances(mended), projections.WithParked(1))
	if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Parked: 4}) {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 4)
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done != (projections.Retried{Applied: 4}) {
		t.Errorf("%+v, %v", done, err)
	}
	w.wantBalances("balances.balances")
}

// A rebuild tries all by itself, and what the old build has parked goes with it.
func TestRebuild_tries_what_was_parked_by_itself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, poisonedBalances(mended))
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: failsEverywhere}, Deposited{Cents: 100})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 2)
	mended.Store(true)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantBalances("balances.balances")
	wantParked(t, p, w.store, 0)
	if _, err := p.RetryEvent(t.Context(), w.history()[1].ID); !errors.Is(err, projections.ErrNotParked) {
		t.Errorf("an event that the kept build has parked: %v", err)
	}
	if n := w.number(`select count(*) from asof.parked`); n != 2 {
		t.Errorf("%d units of the kept build", n)
	}
	if err := p.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantParked(t, p, w.store, 2)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := projections.DropProjection(t.Context(), w.store, "balances"); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from asof.parked`); n != 0 {
		t.Errorf("%d units are left of builds that are gone", n)
	}
}

// The switch applies the last events itself, and cannot park what the database refuses of
// them: it is parked outside, and the switch is tried again.
func TestEvent_that_is_refused_in_the_switch_is_parked(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"a check", "one that is checked later"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			of := refusals()[what]
			def := of.refusing()
			def.Order = projections.OneStream
			p := projections.New(w.store, def)
			w.append("a-1", Opened{Owner: "taken"})
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			start(t, p)
			var once sync.Once
			var last es.Position
			err := projections.New(w.store, def).Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) {
				if progress.Phase == "verifying" {
					once.Do(func() {
						last = w.append("a-1", Deposited{Cents: 2}, of.bad, Deposited{Cents: 3})
						reach(t, p, last)
					})
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			reach(t, p, last)
			if list := wantParked(t, p, w.store, 1); list[0].Event.Version != 3 || list[0].Build != 2 {
				t.Errorf("%+v", list)
			}
			if n := w.number(`select count(*) from x.x`); n != 3 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

// A message that is parked moves the offset on, also one that comes with a gap before it.
func TestKafka_what_cannot_be_applied_is_parked(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	def := c.balances()
	def.Table = strings.Replace(def.Table, "cents bigint not null", "cents bigint not null check (cents < 1000)", 1)
	var told told
	p := projections.New(c.store, def, projections.FromKafka(c.client, projections.WithLogCheck(never)), projections.WithLogger(slog.New(slog.NewTextHandler(&told, nil))))
	c.append("a-1", Opened{Owner: "ann"})
	start(t, p)
	c.untilReading(p)
	before := len(c.history())
	c.append("a-1", Deposited{Cents: 5}, Deposited{Cents: 5000}, Deposited{Cents: 6}, Deposited{Cents: 7}) // refused
	c.append("a-2", Opened{Owner: "bob"})
	c.unreadable("a-3")
	c.append("a-3", Deposited{Cents: 8})
	last := c.append("a-2", Deposited{Cents: 9})
	events := c.history()[before:]
	c.publish(append(events[3:4:4], events[4:]...)...) // what fails is in the gap
	c.wait(p, last)
	list := wantParked(t, p, c.store, 5)
	if list[0].Event.Version != 3 || list[0].Error == "" || list[1].Event.Version != 4 || list[1].Error != "" || list[3].Event.Stream.ID != "a-3" {
		t.Errorf("%+v", list)
	}
	if n := c.number(`select cents from balances.balances where account = 'a-1'`); n != 5 {
		t.Errorf("a-1 has %d", n)
	}
	if n := c.number(`select cents from balances.balances where account = 'a-2'`); n != 9 {
		t.Errorf("a-2 has %d", n)
	}
	c.untilRead(p)
	if text := told.String(); strings.Contains(text, "projector failed") { // and went on from the log
		t.Error(text)
	}
	c.publish(c.history()...) // again
	last = c.append("a-4", Opened{Owner: "dan"})
	c.publish(c.history()[len(c.history())-1])
	c.wait(p, last)
	wantParked(t, p, c.store, 5)
	if s, err := p.Status(t.Context()); err != nil || s.Foreign != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	until(t, "what was parked is applied", func() bool { // the check is gone: others follow meanwhile
		c.exec(`alter table balances.balances drop constraint if exists balances_cents_check`)
		done, err := p.RetrySequence(t.Context(), c.stream("a-1"))
		return err == nil && done.Applied == 3
	})
	wantParked(t, p, c.store, 2)
	if n := c.number(`select cents from balances.balances where account = 'a-1'`); n != 5018 {
		t.Errorf("a-1 has %d", n)
	}
}

// A program that has rows and what is parked in memory notices that another has retried.
func TestProjector_notices_a_retry_elsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, poisonedBalances(mended))
	w.append("a-1", Opened{Owner: "ann"})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	reach(t, p, w.append("a-1", Deposited{Cents: failsEverywhere}))
	reach(t, p, w.append("a-1", Deposited{Cents: 100}))
	mended.Store(true)
	if done, err := projections.New(w.store, poisonedBalances(mended)).RetryAll(t.Context()); err != nil || done.Applied != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	w.wait(p, w.append("a-1", Deposited{Cents: 200}))
	wantParked(t, p, w.store, 0)
	w.wantBalances("balances.balances")
}

func TestSQL_that_needs_no_order_of_streams_parks_by_stream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mended := new(atomic.Bool)
	p := projections.New(w.store, projections.Statements[Event]{
		Name: "cents", Version: 1, Codec: codec(), Order: projections.Commuting,
		Tables: `create table cents (account text primary key, cents bigint not null check (cents < 10000))`,
		Apply: func(b *pgx.Batch, e Event, r es.Recorded) {
			if d, ok := e.(Deposited); ok {
				b.Queue(`insert into cents values ($1, $2) on conflict (account) do update set cents = cents.cents + $2`, r.Stream.ID, d.Cents)
				if !mended.Load() {
					if err := strike(e, ""); err != nil {
						panic(err)
					}
				}
			}
			if e, ok := e.(Opened); ok && e.Owner != "" {
				b.Queue(`insert into cents values ($1, $2)`, r.Stream.ID, e.Owner) // no number: the driver refuses it
			}
		},
	})
	w.append("a-1", Deposited{Cents: 100})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	w.append("a-1", Deposited{Cents: panicsHalfWay}, Deposited{Cents: 200})
	w.append("a-2", Deposited{Cents: 300}, Deposited{Cents: 10_000}, Deposited{Cents: 400})
	w.append("a-3", Deposited{Cents: 500}, Opened{Owner: "x"}, Deposited{Cents: 600})
	last := w.append("a-4", Deposited{Cents: 700})
	want := func(what string, db queries, table string, of map[string]int64) {
		t.Helper()
		type row struct {
			Account string
			Cents   int64
		}
		got := map[string]int64{}
		for id, r := range readTable(w, db, table, func(r row) string { return r.Account }) {
			got[id] = r.Cents
		}
		same(t, of, got)
	}
	parked := map[string]int64{"a-1": 100, "a-2": 300, "a-3": 500, "a-4": 700}
	reach(t, p, last)
	wantParked(t, p, w.store, 6)
	want("live", w.pool, "cents.cents", parked)
	err := p.AsOf(t.Context(), es.AtPosition(last), func(_ context.Context, tx pgx.Tx) error {
		want("as of", tx, "cents", parked)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := projections.New(w.store, projections.Statements[Event]{Name: "logged", Version: 1, Codec: codec(), Tables: `create table x ()`, Apply: func(*pgx.Batch, Event, es.Recorded) { panic("no") }}).Run(within(t, time.Minute)); !contains(err, "panic: no") {
		t.Errorf("statements that need the log's order: %v", err)
	}
	mended.Store(true)
	if done, err := p.RetryAll(t.Context()); err != nil || done.Applied != 2 || done.Parked != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	want("retried", w.pool, "cents.cents", map[string]int64{"a-1": 300 + panicsHalfWay, "a-2": 300, "a-3": 500, "a-4": 700})
}

// told keeps what is logged.
type told struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *told) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *told) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
