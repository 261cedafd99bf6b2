package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// begun appends one event in a transaction that stays open.
func begun(ctx context.Context, t *testing.T, store *pgstore.Store, id string) (pgx.Tx, es.RecordedEvent) {
	t.Helper()
	tx, err := store.Pool().Begin(ctx)
	must(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(ctx)) })
	recorded, err := store.InTx(tx).Append(ctx, stream(id), es.Any, someEvents(1)...)
	must(t, err)
	return tx, recorded[0]
}

func clock(ctx context.Context, t *testing.T, store *pgstore.Store) (now time.Time) {
	t.Helper()
	must(t, store.Pool().QueryRow(ctx, `select clock_timestamp()`).Scan(&now))
	return now
}

// An append that is open when a moment is asked for may have been recorded before it,
// and land above all that is visible then.
func TestSettle_returns_a_position_that_no_event_of_the_moment_lies_above(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	_, err := store.Append(ctx, stream("before"), es.NoStream, someEvents(3)...)
	must(t, err)
	tx, slow := begun(ctx, t, store, "slow")
	at := clock(ctx, t, store)
	committed := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() { committed <- tx.Commit(ctx) })
	head, err := store.Settle(ctx, at)
	must(t, err)
	must(t, <-committed)
	if head < slow.Position {
		t.Fatalf("as of %s the log ends at %d, and the event of %s is at %d", at, head, slow.RecordedAt, slow.Position)
	}
	if events := streamed(ctx, t, store, es.Checkpoint{}, head, 100); len(events) != 4 {
		t.Errorf("%d events lie up to %d, want 4", len(events), head)
	}
}

// asked is what was answered of a moment at once.
type asked struct {
	at       time.Time
	position es.Position
	fold     fold
}

// fold is of the events that were recorded by a moment.
type fold struct {
	events int64
	ids    int64 // exclusive or of hashes of their ids
}

// Ten thousand moments, asked for while 32 writers append and others keep their
// appends open: each is answered the same at once, after the writers have gone, and by
// the log's own fold.
func TestMoments_are_final(t *testing.T) {
	t.Parallel()
	const moments, askers, back = 10_000, 8, 300 * time.Millisecond
	store := pgstoretest.New(t, pgstoretest.MaxConns(50))
	ctx := within(t, 4*time.Minute)
	_, err := store.Append(ctx, stream("first"), es.NoStream, someEvents(1)...)
	must(t, err)
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var writers sync.WaitGroup
	for n := range 32 {
		writers.Go(func() { write(ctx, writing, t, store, n) })
	}
	for n := range 3 {
		writers.Go(func() { linger(ctx, writing, t, store, n) })
	}
	answers := make(chan asked, moments)
	var asking sync.WaitGroup
	for n := range askers {
		asking.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 3))
			for range moments / askers {
				at := clock(ctx, t, store).Add(-rand.N(back))
				if random.IntN(4) == 0 {
					at = at.Add(back - time.Microsecond) // just now, mostly
				}
				a, err := askFor(ctx, store, at)
				if errors.Is(err, es.ErrNotSettled) {
					a, err = askFor(ctx, store, at.Add(-back))
				}
				if err != nil {
					t.Errorf("as of %s: %v", at, err)
					return
				}
				answers <- a
			}
		})
	}
	asking.Wait()
	stop()
	writers.Wait()
	close(answers)

	log := hashed(ctx, t, store)
	wrong, seen := 0, 0
	for a := range answers {
		seen++
		var want, later fold
		for i := range log {
			if log[i].at.After(a.at) {
				continue
			}
			want.events, want.ids = want.events+1, want.ids^log[i].id
			if log[i].position <= a.position {
				later.events, later.ids = later.events+1, later.ids^log[i].id
			}
		}
		if a.fold != want || later != want {
			if wrong++; wrong < 5 {
				t.Errorf("as of %s, up to %d: %+v at once, %+v after, want %+v", a.at, a.position, a.fold, later, want)
			}
		}
	}
	if seen != moments || len(log) < 1000 {
		t.Errorf("%d moments of a log of %d events", seen, len(log))
	}
	t.Logf("%d moments of a log of %d events, %d wrong", seen, len(log), wrong)
}

func askFor(ctx context.Context, store *pgstore.Store, at time.Time) (a asked, err error) {
	a.at = at
	if a.position, err = store.Settle(ctx, at); err != nil {
		return a, err
	}
	a.fold, err = foldUpTo(ctx, store, at, a.position)
	return a, err
}

func foldOf(ctx context.Context, t *testing.T, store *pgstore.Store, at time.Time, upTo es.Position) fold {
	t.Helper()
	f, err := foldUpTo(ctx, store, at, upTo)
	must(t, err)
	return f
}

// foldUpTo folds the visible events up to a position that were recorded by then.
func foldUpTo(ctx context.Context, store *pgstore.Store, at time.Time, upTo es.Position) (f fold, err error) {
	err = store.Pool().QueryRow(ctx, `
		select count(*), coalesce(bit_xor(hashtextextended(event_id::text, 0)), 0) from asof.events
		where position <= $1 and recorded_at <= $2`, int64(upTo), at).Scan(&f.events, &f.ids)
	return f, err
}

// entry is an event of the log, as a fold needs it.
type entry struct {
	position es.Position
	at       time.Time
	id       int64
}

// hashed reads the whole log by plain SQL.
func hashed(ctx context.Context, t *testing.T, store *pgstore.Store) (log []entry) {
	t.Helper()
	rows, err := store.Pool().Query(ctx, `select position, recorded_at, hashtextextended(event_id::text, 0) from asof.events order by position`)
	must(t, err)
	var e entry
	_, err = pgx.ForEachRow(rows, []any{(*int64)(&e.position), &e.at, &e.id}, func() error { log = append(log, e); return nil })
	must(t, err)
	return log
}

// write appends, plainly, a few times a second.
func write(ctx, writing context.Context, t *testing.T, store *pgstore.Store, n int) {
	for i := 0; writing.Err() == nil; i++ {
		if _, err := store.Append(ctx, stream(fmt.Sprintf("w%d-%d", n, i%5)), es.Any, someEvents(1+i%2)...); err != nil {
			t.Errorf("writer %d: %v", n, err)
			return
		}
		pause(writing, 250*time.Millisecond)
	}
}

// linger appends in transactions that stay open for a while, now and then rolled back.
func linger(ctx, writing context.Context, t *testing.T, store *pgstore.Store, n int) {
	for i := 0; writing.Err() == nil; i++ {
		err := pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
			for part := range 3 {
				if _, err := store.InTx(tx).Append(ctx, stream(fmt.Sprintf("l%d-%d", n, part)), es.Any, someEvents(1)...); err != nil {
					return err
				}
				pause(ctx, rand.N(15*time.Millisecond))
			}
			if i%5 == 0 {
				return errRollback
			}
			return nil
		})
		if err != nil && !errors.Is(err, errRollback) {
			t.Errorf("lingering writer %d: %v", n, err)
			return
		}
	}
}

var errRollback = errors.New("rolled back")

// A clock that goes back after a moment was declared final: what is appended then is
// recorded at the moment or later. So it stays through a crash, and through a restore
// that brings no sequences, once it is repaired.
func TestMoment_stays_final_when_the_clock_goes_back(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 60*time.Second)
	_, err := store.Append(ctx, stream("1"), es.NoStream, someEvents(1)...)
	must(t, err)
	// As a clock that is a minute ahead would have it, and steps back then.
	ahead := clock(ctx, t, store).Add(time.Minute).Truncate(time.Microsecond)
	must(t, exec(ctx, store.Pool(), fmt.Sprintf(`select setval('asof.settled_moment', %d)`, ahead.UnixMicro())))
	head, err := store.Settle(ctx, ahead.Add(-time.Second))
	must(t, err)
	appended := func(id string, n int) {
		t.Helper()
		for kind, want := range map[string]es.Expected{"exactly": es.NoStream, "any": es.Any} {
			recorded, err := store.Append(ctx, stream(id+kind), want, someEvents(n)...)
			must(t, err)
			for _, e := range recorded {
				if e.RecordedAt.Before(ahead) {
					t.Errorf("%s, %s: recorded at %s, before the final moment %s", id, kind, e.RecordedAt, ahead)
				}
			}
			_, err = store.Append(ctx, stream(id+kind), es.StreamExists, someEvents(n)...)
			must(t, err)
		}
		again, err := store.Settle(ctx, ahead.Add(-time.Second))
		must(t, err)
		if f := foldOf(ctx, t, store, ahead.Add(-time.Second), again); f.events != 1 {
			t.Errorf("%s: %d events as of the final moment, want 1 (up to %d, before up to %d)", id, f.events, again, head)
		}
	}
	appended("one", 1)
	appended("several", 3)
	server.Kill()
	server.Restart()
	store.Pool().Reset()
	appended("after a crash", 1)
	must(t, exec(ctx, store.Pool(), `drop sequence asof.settled_moment`, `create sequence asof.settled_moment minvalue 0 start 0`))
	_, err = store.Repair(ctx, false, nil)
	must(t, err)
	appended("after a restore without sequences", 1)
}

// What was made final before is answered while an append stays open, by every process.
func TestSettled_moments_and_positions_wait_for_nobody(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	old, err := store.Append(ctx, stream("old"), es.NoStream, someEvents(2)...)
	must(t, err)
	_, rolledBack := begun(ctx, t, store, "rolled back")
	later, err := store.Append(ctx, stream("later"), es.NoStream, someEvents(1)...)
	must(t, err)
	_ = rolledBack
	at := later[0].RecordedAt
	for done := false; !done; { // what relay and projectors do all the time
		must(t, exec(ctx, store.Pool(), `select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction' and datname = current_database()`))
		must(t, store.KeepMoments(ctx))
		must(t, store.Pool().QueryRow(ctx, `select moment is not null and moment > $1 from asof.settled_head`, at).Scan(&done))
	}
	_, err = store.Settle(ctx, time.Time{})
	must(t, err)
	events, err := readAll(ctx, store, 0)
	must(t, err)
	if len(events) != 3 {
		t.Fatalf("%d events", len(events))
	}
	begun(ctx, t, store, "open")
	for name, s := range map[string]*pgstore.Store{"the same process": store, "another": pgstore.New(store.Pool())} {
		short := within(t, 5*time.Second)
		if p, err := s.Settle(short, at); err != nil || p < later[0].Position {
			t.Errorf("%s: as of %s: %d, %v", name, at, p, err)
		}
		if p, err := s.Settle(short, old[0].RecordedAt.Add(-time.Minute)); err != nil {
			t.Errorf("%s: a minute before the first event: %d, %v", name, p, err)
		}
		for _, p := range []es.Position{0, 1, old[1].Position} {
			if err := s.SettleTo(short, p); err != nil {
				t.Errorf("%s: position %d: %v", name, p, err)
			}
		}
	}
	soon := within(t, 300*time.Millisecond)
	if err := store.SettleTo(soon, later[0].Position+1); err == nil {
		t.Error("a position that is being written is settled")
	}
	if p, err := store.Settle(soon, clock(ctx, t, store)); err == nil {
		t.Errorf("a moment with an append open is final up to %d", p)
	}
}

// A position past the end is not settled, and says where the end is.
func TestSettleTo_refuses_what_is_not_there(t *testing.T) {
	t.Parallel()
	store := open(t)
	recorded, err := store.Append(t.Context(), stream("1"), es.NoStream, someEvents(2)...)
	must(t, err)
	must(t, store.SettleTo(t.Context(), recorded[1].Position))
	if err := store.SettleTo(t.Context(), recorded[1].Position+1); !errors.Is(err, es.ErrNotSettled) {
		t.Errorf("got %v", err)
	}
}

// Moments move on by themselves where something keeps them, and no oftener than they
// must.
func TestKeepMoments_moves_once_a_second(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	stored := func() (at time.Time) {
		must(t, store.Pool().QueryRow(ctx, `select coalesce(moment, 'epoch') from asof.settled_head`).Scan(&at))
		return at
	}
	must(t, store.KeepMoments(ctx))
	first := stored()
	if first.Year() < 2000 {
		t.Fatal("no moment was kept")
	}
	must(t, store.KeepMoments(ctx))
	if second := stored(); !second.Equal(first) {
		t.Errorf("the moment moved from %s to %s at once", first, second)
	}
	// While an append is open it does not move, and nobody waits.
	pause(ctx, time.Second)
	tx, _ := begun(ctx, t, store, "open")
	for range 3 {
		must(t, store.KeepMoments(ctx))
	}
	if now := stored(); !now.Equal(first) {
		t.Errorf("the moment moved to %s while an append was open", now)
	}
	must(t, tx.Commit(ctx))
	must(t, store.KeepMoments(ctx))
	if now := stored(); !now.After(first) {
		t.Error("the moment does not move on")
	}
}

// A moment that was final on a primary is final on the standby that takes its place.
func TestMoment_stays_final_through_a_promotion(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	store := pgstoretest.Open(t, primary.URL())
	ctx := within(t, 60*time.Second)
	appendEach(ctx, t, store, "1", 3)
	standby := primary.Standby("s1")
	primary.AwaitStandby("s1")
	primary.Set("synchronous_standby_names", "s1")
	ahead := clock(ctx, t, store).Add(time.Minute).Truncate(time.Microsecond) // the primary's clock was ahead
	must(t, exec(ctx, store.Pool(), fmt.Sprintf(`select setval('asof.settled_moment', %d)`, ahead.UnixMicro())))
	final := ahead.Add(-time.Second)
	head, err := store.Settle(ctx, final)
	must(t, err)
	primary.Kill()
	standby.Promote()
	promoted := pgstore.New(standby.Pool())
	must(t, exec(ctx, standby.Pool(), `alter system reset synchronous_standby_names`, `select pg_reload_conf()`))
	_, err = promoted.Repair(ctx, false, nil)
	must(t, err)
	if last := appendEach(ctx, t, promoted, "1", 2); last.RecordedAt.Before(ahead) {
		t.Errorf("recorded at %s, before the final moment", last.RecordedAt)
	}
	now, err := promoted.Settle(ctx, final)
	must(t, err)
	if f := foldOf(ctx, t, promoted, final, now); f.events != 3 || now < head {
		t.Errorf("%d events up to %d as of the final moment, want 3 up to %d", f.events, now, head)
	}
}
