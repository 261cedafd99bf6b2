package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// An append whose caller gives up waiting for the standby is visible on the primary and
// on no standby. Readers that ask for it wait until the standby has it, and what they
// were given is there after the primary has died.
func TestReplicated_reads_act_only_on_what_the_standbys_have(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	store := pgstoretest.Open(t, primary.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "1", 2)
	standby := primary.Standby("s1")
	primary.AwaitStandby("s1")
	primary.Set("synchronous_standby_names", "ANY 1 (s1)")
	replicated := pgstore.New(store.Pool(), pgstore.WithReplicatedReads())
	kept := appendEach(ctx, t, store, "1", 1)
	if events, err := replicated.Read(ctx, 0, 10); err != nil || len(events) != 3 {
		t.Fatalf("with the standby: %d events, %v", len(events), err)
	}

	standby.Stop()
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	_, err := store.Append(short, stream("lost"), es.NoStream, someEvents(1)...)
	cancel()
	if err == nil {
		t.Fatal("an append was acknowledged without the standby")
	}
	waitFor(t, store, `select count(*) = 4 from asof.events`) // and yet it is visible
	if events, err := pgstore.New(store.Pool()).Read(ctx, 0, 10); err != nil || len(events) != 4 {
		t.Errorf("a plain reader gets %d events, %v", len(events), err)
	}
	for what, ask := range map[string]func(context.Context) error{
		"Read": func(ctx context.Context) error { _, err := replicated.Read(ctx, kept.Position, 10); return err },
		"Stream": func(ctx context.Context) error {
			return replicated.Stream(ctx, es.Checkpoint{}, 100, 10, func(*pgstore.Page) error { return nil })
		},
		"Settle": func(ctx context.Context) error { _, err := replicated.Settle(ctx, time.Time{}); return err },
		"ReadStream": func(ctx context.Context) (failed error) {
			for _, err := range replicated.ReadStream(ctx, stream("lost"), 1) {
				failed = errors.Join(failed, err)
			}
			return failed
		},
	} {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		if err := ask(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "synchronous standbys") {
			t.Errorf("%s before the standby has it: %v", what, err)
		}
		cancel()
	}
	primary.Kill()
	standby.Restart()
	standby.Promote()
	promoted := pgstore.New(standby.Pool())
	_, err = promoted.Repair(ctx, false, nil)
	must(t, err)
	if events, err := readAll(ctx, promoted, 0); err != nil || len(events) != 3 || events[2].ID != kept.ID {
		t.Errorf("the promoted standby has %v, %v", events, err)
	}
}

// As many standbys as a commit waits for, not any one.
func TestReplicated_reads_wait_for_the_quorum(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	store := pgstoretest.Open(t, primary.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "1", 1)
	s1, s2 := primary.Standby("s1"), primary.Standby("s2")
	primary.AwaitStandby("s1")
	primary.AwaitStandby("s2")
	replicated := pgstore.New(store.Pool(), pgstore.WithReplicatedReads())
	for _, c := range []struct {
		names string
		one   bool // one of the two is enough
	}{
		{"ANY 1 (s1, s2)", true}, {"ANY 2 (s1, s2)", false}, {"FIRST 2 (s1, s2)", false}, {"2 (s1, s2)", false}, {"s1, s2", true}, {"*", true}, {"first 1 (s2,s1)", true},
	} {
		primary.Set("synchronous_standby_names", c.names)
		appendEach(ctx, t, store, "1", 1)
		if _, err := replicated.Read(ctx, 0, 100); err != nil {
			t.Errorf("%s with both: %v", c.names, err)
		}
	}
	s2.Stop()
	for _, c := range []struct {
		names string
		one   bool
	}{{"ANY 1 (s1, s2)", true}, {"ANY 2 (s1, s2)", false}, {"FIRST 2 (s1, s2)", false}, {"s1, s2", true}} {
		primary.Set("synchronous_standby_names", c.names)
		appending, cancel := context.WithTimeout(ctx, time.Second)
		_, _ = store.Append(appending, stream("2"), es.Any, someEvents(1)...)
		cancel()
		reading, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := replicated.Read(reading, 0, 100)
		cancel()
		if (err == nil) != c.one {
			t.Errorf("%s with one standby away: %v", c.names, err)
		}
	}
	primary.Set("synchronous_standby_names", "")
	_ = s1
	if _, err := replicated.Read(ctx, 0, 100); err != nil {
		t.Errorf("without synchronous standbys: %v", err)
	}
}

// Who may not see how far the standbys are is told what to grant; where there are none
// nothing is asked.
func TestReplicated_reads_need_pg_monitor(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 60*time.Second)
	appendEach(ctx, t, store, "1", 1)
	must(t, exec(ctx, store.Pool(), `create role little login password 'x'`, `grant usage on schema asof to little`, `grant select on all tables in schema asof to little`))
	config := store.Pool().Config()
	config.ConnConfig.User, config.ConnConfig.Password = "little", "x"
	sent := &statements{}
	config.ConnConfig.Tracer = sent
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	t.Cleanup(pool.Close)
	reader := pgstore.New(pool, pgstore.WithReplicatedReads())
	for range 2 {
		sent.reset()
		if events, err := reader.Read(ctx, 0, 10); err != nil || len(events) != 1 {
			t.Fatalf("%v, %v", events, err)
		}
	}
	if len(sent.queries) != 1 {
		t.Errorf("without synchronous standbys a read sends %q", sent.queries)
	}
	server.Set("synchronous_standby_names", "s1")
	_, err = reader.Read(ctx, 0, 10)
	if !errors.Is(err, pgstore.ErrNotReplicated) || !strings.Contains(err.Error(), `grant pg_monitor to "little"`) {
		t.Errorf("got %v", err)
	}
	if _, err := pgstore.New(pool).Read(ctx, 0, 10); err != nil {
		t.Errorf("who did not ask for it: %v", err)
	}
}

// A standby that is away holds up appends, not those who read over a hole.
func TestReader_at_a_hole_waits_for_no_standby(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	store := pgstoretest.Open(t, primary.URL())
	ctx := within(t, 60*time.Second)
	tx, _ := begun(ctx, t, store, "rolled back")
	must(t, tx.Rollback(ctx))
	appendEach(ctx, t, store, "1", 2)
	primary.Set("synchronous_standby_names", "away")
	short := within(t, 4*time.Second)
	if events, err := readAll(short, pgstore.New(store.Pool()), 0); err != nil || len(events) != 2 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// A stream holds a connection while it waits for the standbys: it waits for no other of the
// pool, all of which such streams may hold.
func TestReplicated_streams_do_not_wait_for_each_others_connections(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	store := pgstoretest.Open(t, primary.URL(), pgstoretest.MaxConns(1))
	ctx := within(t, 20*time.Second)
	last := appendEach(ctx, t, store, "1", 3)
	primary.Standby("s1")
	primary.Set("synchronous_standby_names", "s1")
	reader := pgstore.New(store.Pool(), pgstore.WithReplicatedReads())
	n := 0
	err := reader.Stream(ctx, es.Checkpoint{}, last.Position, 10, func(page *pgstore.Page) error { n += len(page.Events); return nil })
	if err != nil || n != 3 {
		t.Errorf("%d events, %v", n, err)
	}
}
