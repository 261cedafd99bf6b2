package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// Many readers wait at the end of the log: one asks for all, and all are told.
func TestAwait_is_told_of_more_by_one_look_for_all(t *testing.T) {
	t.Parallel()
	sent := &statements{}
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = sent }))
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "1", 3)
	const readers, every = 20, 200 * time.Millisecond
	var wg sync.WaitGroup
	grown := make([]bool, readers)
	sent.reset()
	for n := range readers {
		wg.Go(func() {
			var err error
			if grown[n], err = store.Await(ctx, last.Position, every, 700*time.Millisecond); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for n := range grown {
		if grown[n] {
			t.Errorf("reader %d is told of more, and there is nothing", n)
		}
	}
	if n := len(sent.queries); n > 20 { // of 2, 4, 8, … 200, 200, 200 ms; and what looks at the store first
		t.Errorf("%d statements for %d readers: %q", n, readers, sent.queries)
	}
	for n := range readers {
		wg.Go(func() {
			var err error
			if grown[n], err = store.Await(ctx, last.Position, every, time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	appendEach(ctx, t, pgstore.New(store.Pool()), "2", 1)
	sent.reset()
	wg.Wait()
	if n := len(sent.queries); n > readers/2 {
		t.Errorf("%d statements until %d readers are told: %q", n, readers, sent.queries)
	}
	for n := range grown {
		if !grown[n] {
			t.Errorf("reader %d is told of nothing", n)
		}
	}
	if more, err := store.Await(ctx, last.Position, time.Minute, time.Minute); !more || err != nil {
		t.Errorf("what is known already: %v, %v", more, err)
	}
}

// Who asks for all may end, and the others go on.
func TestAwait_goes_on_when_one_that_asks_ends(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "1", 1)
	short, cancel := context.WithCancel(ctx)
	ended := make(chan error, 8)
	for range cap(ended) {
		go func() {
			_, err := store.Await(short, last.Position, 10*time.Millisecond, time.Minute)
			ended <- err
		}()
	}
	told := make(chan bool, 1)
	go func() {
		more, err := store.Await(ctx, last.Position, 10*time.Millisecond, time.Minute)
		if err != nil {
			t.Error(err)
		}
		told <- more
	}()
	cancel()
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	appendEach(ctx, t, store, "1", 1)
	if !<-told {
		t.Error("told of nothing")
	}
}

// A log that is put back is a reason to read, which tells what it is.
func TestAwait_is_told_of_a_log_that_is_put_back(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 2)
	backup := server.Backup()
	last := appendEach(ctx, t, store, "lost", 3)
	reader := pgstore.New(server.Pool())
	at := es.Checkpoint{Position: last.Position, EventID: last.ID}
	if more, err := reader.Await(ctx, at.Position, time.Millisecond, 10*time.Millisecond); more || err != nil {
		t.Fatal(more, err)
	}
	server.Restore(backup)
	var more bool
	must(t, retryUnreachable(ctx, func() (err error) {
		more, err = reader.Await(ctx, at.Position, time.Millisecond, time.Minute)
		if errors.Is(err, es.ErrRestored) {
			more, err = true, nil
		}
		return err
	}))
	if !more {
		t.Error("told of nothing")
	}
	err := retryUnreachable(ctx, func() error { _, err := reader.ReadAfter(ctx, at, 10); return err })
	wantRestored(t, "reading then", err, "asof repair")
}

// All who wait behind the end of a log that was put back are told by one look.
func TestAwait_tells_all_of_a_log_that_is_put_back_by_one_look(t *testing.T) {
	t.Parallel()
	sent := &statements{}
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = sent }))
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "lost", 3)
	const readers = 20
	var wg sync.WaitGroup
	if more, err := store.Await(ctx, last.Position, time.Millisecond, 10*time.Millisecond); more || err != nil {
		t.Fatal(more, err)
	}
	for range readers {
		wg.Go(func() {
			if more, err := store.Await(ctx, last.Position, 200*time.Millisecond, time.Minute); !more || err != nil {
				t.Errorf("told of nothing: %v, %v", more, err)
			}
		})
	}
	must(t, exec(ctx, store.Pool(), `set session_replication_role = replica; delete from asof.events where version > 1; set session_replication_role = origin`))
	sent.reset()
	wg.Wait()
	if n := len(sent.queries); n > readers/2 {
		t.Errorf("%d statements until %d readers are told: %q", n, readers, sent.queries)
	}
}

// A log that was put back and has grown to where it was: another event stands there.
func TestAwait_is_told_of_another_event_at_the_same_position(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "1", 3)
	if more, err := store.Await(ctx, last.Position, time.Millisecond, 10*time.Millisecond); more || err != nil {
		t.Fatal(more, err)
	}
	const readers = 5
	told := make(chan bool, readers)
	for range readers {
		go func() {
			more, err := store.Await(ctx, last.Position, 20*time.Millisecond, time.Minute)
			told <- more && err == nil
		}()
	}
	must(t, exec(ctx, store.Pool(), `set session_replication_role = replica; update asof.events set event_id = gen_random_uuid() where version = 3; set session_replication_role = origin`))
	for range readers {
		if !<-told {
			t.Error("told of nothing")
		}
	}
	at := es.Checkpoint{Position: last.Position, EventID: last.ID}
	_, err := store.ReadAfter(ctx, at, 10)
	wantRestored(t, "reading then", err, "asof repair")
}

// An idle reader asks for the last event, and for nothing else.
func TestAwait_costs_a_look_at_the_last_event(t *testing.T) {
	t.Parallel()
	sent := &statements{}
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = sent }))
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "1", 3)
	sent.reset()
	if more, err := store.Await(ctx, last.Position, time.Millisecond, 50*time.Millisecond); more || err != nil {
		t.Fatal(more, err)
	}
	for _, sql := range sent.queries {
		if sql != sent.queries[0] || !strings.Contains(sql, "order by position desc limit 1") {
			t.Errorf("asked: %q", sql)
		}
	}
}

// Who waits does not read now and then to see whether the log is another: he is told.
func TestAwait_is_told_of_another_life(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "1", 3)
	life, err := store.Life(ctx)
	must(t, err)
	at := es.Checkpoint{Position: last.Position, EventID: last.ID, Life: life}
	const readers = 5
	told := make(chan bool, readers)
	for range readers {
		go func() {
			more, err := store.Await(ctx, last.Position, 20*time.Millisecond, time.Minute)
			told <- more && err == nil
		}()
	}
	_, err = pgstore.New(store.Pool()).Repair(ctx, true, nil) // as the operator's program does
	must(t, err)
	for range readers {
		if !<-told {
			t.Error("told of nothing")
		}
	}
	if _, err := store.ReadAfter(ctx, at, 10); !errors.Is(err, es.ErrAnotherLife) {
		t.Errorf("reading then: %v", err)
	}
}

// That the log is looked at as a whole, every five seconds, costs no round trip of its own.
func TestAwait_looks_at_the_whole_log_in_the_round_trip_of_a_look(t *testing.T) {
	t.Parallel()
	sent := &statements{}
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = sent }))
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "1", 3)
	sent.reset()
	if more, err := store.Await(ctx, last.Position, time.Second, 8*time.Second); more || err != nil {
		t.Fatal(more, err)
	}
	whole := 0
	for _, sql := range sent.queries {
		if strings.HasSuffix(sql, " statements") {
			whole++
		}
	}
	if whole != 1 || len(sent.queries) < 10 || len(sent.queries) > 20 { // of 2, 4, … 512 ms, 1 s, 1 s
		t.Errorf("%d of %d looks at the whole log: %q", whole, len(sent.queries), sent.queries)
	}
}

// Any number of projectors keep moments as one does.
func TestKeepMoments_costs_the_same_for_any_number(t *testing.T) {
	t.Parallel()
	sent := &statements{}
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = sent }))
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 3)
	shared := pgstore.New(store.Pool())
	_, err := shared.Life(ctx)
	must(t, err)
	sent.reset()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := shared.KeepMoments(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(sent.queries); n > 12 {
		t.Errorf("%d statements for 20 who keep moments: %q", n, sent.queries)
	}
}
