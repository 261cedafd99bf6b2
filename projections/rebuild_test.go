package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

func TestRebuild_under_load_is_not_noticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 300 {
		w.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: 5})
	}
	p := projections.New(w.store, totals())
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 1}))
	stopReading := w.watch(`select events from totals.totals where bucket = 'all'`)
	stopWriting := w.load(4)

	other := projections.New(w.store, totals()) // as another process
	for round := range 3 {
		var last projections.Progress
		if err := other.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) { last = p })); err != nil {
			t.Fatal(err)
		}
		if last.Phase != "live" || !last.Compared || last.Differing != 0 || last.Done == 0 {
			t.Fatalf("round %d: %+v", round, last)
		}
	}
	end := stopWriting()
	w.wait(p, end)
	if reads := stopReading(); reads < 100 {
		t.Fatalf("only %d reads", reads)
	}
	w.wantTotals("totals.totals")
	if n := w.number(`select count(*) from asof.builds`); n != 2 {
		t.Fatalf("%d builds are kept, want the live one and one more", n)
	}
	if n := w.number(`select count(*) from pg_namespace where nspname like 'totals%'`); n != 2 {
		t.Fatalf("%d schemas, want 2", n)
	}
}

// Balance2 is the table of version 2: other columns, one of another type.
type Balance2 struct {
	Account string `db:"account"`
	Cents   string `db:"cents"`
	Moves   int32  `db:"moves"`
}

func balances2() projections.Fold[Balance2, Event] {
	return projections.Fold[Balance2, Event]{
		Name: "balances", Version: 2,
		Table: `create table balances (account text primary key, cents text not null, moves int not null);
			create index on balances (moves)`,
		Codec: codec(),
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(b *Balance2, e Event, _ es.Recorded) { b.Moves++; b.Cents += "." },
	}
}

func TestVersion_is_raised_and_the_old_program_stops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	v1 := projections.New(w.store, balances())
	ended := make(chan error, 1)
	go func() { ended <- v1.Run(t.Context()) }()
	w.wait(v1, w.append("a-1", Deposited{Cents: 5}))

	v2 := projections.New(w.store, balances2()) // on the same pool: its connections know version 1's statements
	start(t, v2)
	select {
	case err := <-ended:
		if !errors.Is(err, projections.ErrNewerVersion) {
			t.Fatalf("the old program: %v", err)
		}
	case <-within(t, 20*time.Second).Done():
		t.Fatal("the old program did not stop")
	}
	for range 30 {
		w.wait(v2, w.append("a-1", Withdrawn{Cents: 1}))
	}
	if n := w.number(`select moves from balances.balances where account = 'a-1'`); n != 33 {
		t.Fatalf("%d moves", n)
	}
	for what, err := range map[string]error{"Run": v1.Run(t.Context()), "Rebuild": v1.Rebuild(t.Context())} {
		if !errors.Is(err, projections.ErrNewerVersion) {
			t.Fatalf("%s of the old program: %v", what, err)
		}
	}
	status, err := v2.Status(t.Context())
	if err != nil || status.Version != 2 || status.Retired != 1 {
		t.Fatalf("%+v, %v", status, err)
	}
}

func TestRollback_catches_up_and_stops_the_newer_program(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	v1, v2 := projections.New(w.store, balances()), projections.New(w.store, balances2())
	if err := v1.Rollback(t.Context()); !errors.Is(err, projections.ErrNotBuilt) {
		t.Fatal(err)
	}
	if err := v1.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- v2.Run(t.Context()) }()
	w.wait(v2, w.append("a-2", Opened{Owner: "bob"}, Deposited{Cents: 7}))
	until(t, "version 2 live", func() bool { s, err := v2.Status(t.Context()); return err == nil && s.Version == 2 })

	if err := v1.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wantBalances("balances.balances")
	if err := <-ended; !errors.Is(err, projections.ErrRolledBack) {
		t.Fatalf("the newer program: %v", err)
	}
	start(t, v1)
	w.wait(v1, w.append("a-2", Deposited{Cents: 7}))
	w.wantBalances("balances.balances")
}

func TestRebuild_repairs_a_damaged_row(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: 5})
	}
	p := projections.New(w.store, balances())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.append("a-9", Opened{Owner: "late"}) // not in the live tables yet: no difference
	w.exec(`update balances.balances set cents = 999 where account = 'a-1'`)
	w.exec(`delete from balances.balances where account = 'a-2'`)
	w.exec(`insert into balances.balances values ('ghost', '', 0, now())`)
	var last projections.Progress
	if err := p.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) { last = p })); err != nil {
		t.Fatal(err)
	}
	if last.Differing != 3 || !last.Compared {
		t.Fatalf("%+v, want 3 differing rows", last)
	}
	w.wantBalances("balances.balances")
}

func TestRebuild_resumes_where_it_was_cancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 120 { // several chunks
		events := make([]Event, 1000)
		for n := range events {
			events[n] = Deposited{Cents: int64(n)}
		}
		w.append(name(i%7), events...)
	}
	p := projections.New(w.store, totals())
	ctx, cancel := context.WithCancel(t.Context())
	var reached int64
	err := p.Rebuild(ctx, projections.WithProgress(func(p projections.Progress) {
		if p.Done > 0 {
			reached = p.Done
			cancel()
		}
	}))
	if !errors.Is(err, context.Canceled) || reached == 0 || reached >= 120_000 {
		t.Fatalf("%v after %d events", err, reached)
	}
	status, err := p.Status(t.Context())
	if err != nil || status.Building == nil || status.Building.Active || status.Building.Done < reached {
		t.Fatalf("%+v, %v", status, err)
	}
	first := int64(-1)
	var last projections.Progress
	err = p.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) {
		if first < 0 {
			first = p.Done
		}
		last = p
	}))
	if err != nil || first < reached || last.Done != 120_000 || last.Total != 120_000 {
		t.Fatalf("%v: began at %d of %d: %+v", err, first, reached, last)
	}
	w.wantTotals("totals.totals")
}

func TestRebuild_is_one_at_a_time(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.store, totals())
	var second error
	err := p.Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" {
			second = projections.New(w.store, totals()).Rebuild(t.Context())
		}
	}))
	if err != nil || !errors.Is(second, projections.ErrBusy) {
		t.Fatalf("%v, and the second: %v", err, second)
	}
}

func TestRebuild_whose_lease_was_taken_changes_nothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(w.store, totals())
	var second error
	err := p.Rebuild(t.Context(), projections.WithProgress(func(progress projections.Progress) {
		if progress.Phase == "verifying" { // it seems dead, and another takes over
			w.exec(`update asof.builds set lease_until = now() - interval '1 second'`)
			second = projections.New(w.store, totals()).Rebuild(t.Context())
		}
	}))
	if err == nil || second != nil {
		t.Fatalf("the old one: %v, the one that took over: %v", err, second)
	}
	w.wantTotals("totals.totals")
}
