package pgstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// between does something before one of the round trips of a pool: a tracer.
type between struct {
	pgx.QueryTracer

	left atomic.Int64 // round trips until then
	do   func(*pgxpool.Pool)
}

func (b *between) TraceAcquireStart(ctx context.Context, pool *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	if b.left.Add(-1) == 0 {
		b.do(pool)
	}
	return ctx
}

func (b *between) TraceAcquireEnd(context.Context, *pgxpool.Pool, pgxpool.TraceAcquireEndData) {}

func (b *between) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (b *between) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// The database is put back between any two round trips of those who settle: what they
// found in the log before is not stored in the one that is there then, nor said of it.
func TestRestore_between_two_round_trips_leaves_nothing_of_the_log_before(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string]func(context.Context, *pgstore.Store, es.RecordedEvent) error{
		"Settle": func(ctx context.Context, s *pgstore.Store, last es.RecordedEvent) error {
			_, err := s.Settle(ctx, last.RecordedAt)
			return err
		},
		"KeepMoments": func(ctx context.Context, s *pgstore.Store, _ es.RecordedEvent) error { return s.KeepMoments(ctx) },
		"Read at a hole": func(ctx context.Context, s *pgstore.Store, last es.RecordedEvent) error {
			_, err := s.Read(ctx, last.Position-2, 100)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			server := embeddedtest.Server(t)
			appendEach(ctx, t, pgstoretest.Open(t, server.URL()), "kept", 3)
			backup := server.Backup()
			const atLeast = 4 // a moment is looked up, raised, its head read, and stored
			for trip := int64(1); ; trip++ {
				b := &between{do: func(pool *pgxpool.Pool) { server.Restore(backup); pool.Reset() }}
				reader := pgstoretest.Open(t, server.URL(), pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = b }))
				last := withHole(ctx, t, pgstore.New(reader.Pool()))
				_, err := reader.Read(ctx, 0, 3)
				must(t, err)
				b.left.Store(trip)
				err = settle(ctx, reader, last)
				if b.left.Load() > 0 {
					must(t, err)
					if trip <= atLeast {
						t.Errorf("it took %d round trips", trip-1)
					}
					return
				}
				check := pgstoretest.Open(t, server.URL()).Pool()
				var stored, final, head int64
				var moment, floor time.Time
				must(t, check.QueryRow(ctx, `
					select position, moment_position, coalesce(moment, 'epoch'), (select max(position) from asof.events),
					       timestamptz 'epoch' + coalesce(pg_sequence_last_value('asof.settled_moment'), 0) * interval '1 microsecond'
					from asof.settled_head`).Scan(&stored, &final, &moment, &head, &floor))
				if stored > head || final > head {
					t.Errorf("put back before round trip %d: %d and %d are stored as settled, and the log ends at %d", trip, stored, final, head)
				}
				if moment.After(floor) || name == "Settle" && err == nil && last.RecordedAt.After(floor) {
					t.Errorf("put back before round trip %d: %s is said to be final (%v), stored is %s, and appends mind %s", trip, last.RecordedAt, err, moment, floor)
				}
				server.Restore(backup)
			}
		})
	}
}

// withHole makes the log longer, with a position that was rolled back before its last
// event, which it returns.
func withHole(ctx context.Context, t *testing.T, s *pgstore.Store) es.RecordedEvent {
	t.Helper()
	appendEach(ctx, t, s, "lost", 5)
	tx, _ := begun(ctx, t, s, "rolled back")
	must(t, tx.Rollback(ctx))
	return appendEach(ctx, t, s, "lost", 1)
}

// The same while the server runs on: the log is put back by statements, with rows of the
// backup, and what appends mind is put back with it.
func TestLog_that_is_put_back_by_statements_between_two_round_trips(t *testing.T) {
	t.Parallel()
	for name, settle := range map[string]func(context.Context, *pgstore.Store, es.RecordedEvent) error{
		"Settle": func(ctx context.Context, s *pgstore.Store, last es.RecordedEvent) error {
			_, err := s.Settle(ctx, last.RecordedAt)
			return err
		},
		"KeepMoments": func(ctx context.Context, s *pgstore.Store, _ es.RecordedEvent) error { return s.KeepMoments(ctx) },
		"Read at a hole": func(ctx context.Context, s *pgstore.Store, last es.RecordedEvent) error {
			_, err := s.Read(ctx, last.Position-2, 100)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, time.Minute)
			url := embeddedtest.Database(t)
			store := pgstoretest.Open(t, url)
			kept := appendEach(ctx, t, store, "kept", 3)
			putBack := []string{
				`set session_replication_role = replica`, `delete from asof.events where stream_id <> 'kept'`, `set session_replication_role = origin`,
				`update asof.settled_head set position = 0, moment = null, moment_position = 0`,
				fmt.Sprintf(`select setval('asof.events_position', %d)`, kept.Position), `select setval('asof.settled_moment', 0)`,
			}
			const atLeast = 4
			for trip := int64(1); ; trip++ {
				var failed error
				b := &between{do: func(*pgxpool.Pool) { failed = exec(ctx, store.Pool(), strings.Join(putBack, "; ")) }}
				reader := pgstoretest.Open(t, url, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.Tracer = b }))
				last := withHole(ctx, t, pgstore.New(reader.Pool()))
				_, err := reader.Read(ctx, 0, 3)
				must(t, err)
				b.left.Store(trip)
				err = settle(ctx, reader, last)
				if b.left.Load() > 0 {
					must(t, err)
					if trip <= atLeast {
						t.Errorf("it took %d round trips", trip-1)
					}
					return
				}
				must(t, failed)
				var stored, final int64
				var minded bool
				must(t, store.Pool().QueryRow(ctx, `
					select position, moment_position, moment is null or moment <= timestamptz 'epoch' + pg_sequence_last_value('asof.settled_moment') * interval '1 microsecond'
					from asof.settled_head`).Scan(&stored, &final, &minded))
				if head := int64(kept.Position); stored > head || final > head {
					t.Errorf("put back before round trip %d: %d and %d are stored as settled, and the log ends at %d", trip, stored, final, head)
				}
				if !minded {
					t.Errorf("put back before round trip %d: a moment is stored that appends do not mind", trip)
				}
				must(t, exec(ctx, store.Pool(), strings.Join(putBack, "; ")))
			}
		})
	}
}

// What a reader at a hole waits for is put back before anybody has read it: it waits for
// what is there instead.
func TestReader_at_a_hole_goes_on_when_what_it_waits_for_is_gone(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	store := open(t)
	kept := appendEach(ctx, t, store, "kept", 1)
	tx, _ := begun(ctx, t, store, "open")
	gone := appendEach(ctx, t, store, "gone", 1)
	if events, err := store.Read(ctx, kept.Position, 10); err != nil || len(events) > 0 {
		t.Fatalf("%v, %v", events, err)
	}
	must(t, exec(ctx, store.Pool(), fmt.Sprintf(`set session_replication_role = replica; delete from asof.events where position = %d; set session_replication_role = origin`, gone.Position)))
	must(t, tx.Rollback(ctx))
	last := appendEach(ctx, t, store, "later", 1)
	short := within(t, 5*time.Second)
	for {
		events, err := store.Read(short, kept.Position, 10)
		if err != nil {
			t.Fatalf("it waits for ever: %v", err)
		}
		if len(events) > 0 {
			if events[0].ID != last.ID {
				t.Errorf("it reads %v", events)
			}
			return
		}
	}
}
