package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// turned is a pool that leads to one server, and from one of its round trips on to
// another, as one behind a pooler or with several hosts does after a failover.
type turned struct {
	between

	now, then atomic.Pointer[string] // addresses
	back      bool                   // for one round trip only
	dials     atomic.Int64           // connections until then, where they are counted instead
}

func (w *turned) turn(pool *pgxpool.Pool) {
	w.then.Store(w.now.Swap(w.then.Load()))
	pool.Reset()
}

func (w *turned) TraceAcquireStart(ctx context.Context, pool *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	if left := w.left.Add(-1); left == 0 || left == -1 && w.back {
		w.turn(pool)
	}
	return ctx
}

func newTurned(ctx context.Context, t *testing.T, from, to *embeddedtest.TestServer) (*turned, *pgxpool.Pool) {
	t.Helper()
	address := func(server *embeddedtest.TestServer) *string {
		c, err := pgxpool.ParseConfig(server.URL())
		must(t, err)
		a := net.JoinHostPort(c.ConnConfig.Host, fmt.Sprint(c.ConnConfig.Port))
		return &a
	}
	w := &turned{}
	w.now.Store(address(from))
	w.then.Store(address(to))
	w.left.Store(-2)
	config, err := pgxpool.ParseConfig(from.URL())
	must(t, err)
	config.ConnConfig.Tracer = w
	var pool *pgxpool.Pool
	config.ConnConfig.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		if w.dials.Add(-1) == 0 {
			w.turn(pool)
		}
		return new(net.Dialer).DialContext(ctx, network, *w.now.Load())
	}
	pool, err = pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	t.Cleanup(pool.Close)
	return w, pool
}

// The pool leads to another server between the page and the look at the standbys: what
// that one's standbys have, or that it has none, says nothing of the page. It is read
// anew there.
func TestReplicated_reads_trust_no_other_servers_standbys(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	store := pgstoretest.Open(t, primary.URL())
	ctx := within(t, 2*time.Minute)
	kept := appendEach(ctx, t, store, "kept", 3)
	place := reached(ctx, t, store)
	other := primary.Copy()
	other.Standby("s1")
	primary.Set("synchronous_standby_names", "away")
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	_, err := store.Append(short, stream("lost"), es.NoStream, someEvents(1)...)
	cancel()
	if err == nil {
		t.Fatal("an append was acknowledged without the standby")
	}
	waitFor(t, store, `select count(*) = 4 from asof.events`)

	reads := map[string]func(context.Context, *pgstore.Store) ([]es.RecordedEvent, error){
		"Read": func(ctx context.Context, s *pgstore.Store) ([]es.RecordedEvent, error) { return s.Read(ctx, 0, 10) },
		"ReadAfter": func(ctx context.Context, s *pgstore.Store) ([]es.RecordedEvent, error) {
			return s.ReadAfter(ctx, place, 10)
		},
		"ReadReplicated": func(ctx context.Context, s *pgstore.Store) ([]es.RecordedEvent, error) {
			return pgstore.New(s.Pool()).ReadReplicated(ctx, place, 10, nil)
		},
		"Stream": func(ctx context.Context, s *pgstore.Store) (all []es.RecordedEvent, err error) {
			err = s.Stream(ctx, es.Checkpoint{}, 100, 10, func(page *pgstore.Page) error { all = append(all, page.Events...); return nil })
			return all, err
		},
		"ReadStream": func(ctx context.Context, s *pgstore.Store) (all []es.RecordedEvent, failed error) {
			for e, err := range s.ReadStream(ctx, stream("lost"), 1) {
				if err != nil {
					return all, err
				}
				all = append(all, e)
			}
			return all, nil
		},
		"Settle": func(ctx context.Context, s *pgstore.Store) ([]es.RecordedEvent, error) {
			p, err := s.Settle(ctx, time.Time{})
			return []es.RecordedEvent{{Recorded: es.Recorded{Position: p}}}, err
		},
	}
	for _, names := range []string{"", "s1"} {
		other.Set("synchronous_standby_names", names)
		for what, read := range reads {
			for trip := int64(1); trip <= 5; trip++ {
				w, pool := newTurned(ctx, t, primary, other)
				reader := pgstore.New(pool, pgstore.WithReplicatedReads())
				_, err := reader.Life(ctx)
				must(t, err)
				if what == "Stream" { // waits on a connection of its own
					w.dials.Store(1)
				} else {
					w.left.Store(trip)
				}
				events, err := read(within(t, 20*time.Second), reader)
				if err != nil && (what != "ReadStream" || !errors.Is(err, es.ErrStreamNotFound)) {
					t.Errorf("%s, turned before round trip %d, standbys %q: %v", what, trip, names, err)
				}
				for _, e := range events {
					if e.Position > kept.Position {
						t.Errorf("%s, turned before round trip %d, standbys %q: it gives position %d, which no standby of its server has", what, trip, names, e.Position)
					}
				}
				pool.Close()
			}
		}
	}
}

// Who reads streams alone has looked at the log never: it waits all the same.
func TestReplicated_read_of_a_stream_waits_in_a_program_that_has_read_nothing_else(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 1)
	server.Set("synchronous_standby_names", "away")
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	for e, err := range pgstore.New(server.Pool(), pgstore.WithReplicatedReads()).ReadStream(short, stream("1"), 1) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it gives %v, %v", e, err)
		}
	}
}

// A read makes a page of two round trips, and the second meets another server, which
// lacks an event of the first.
func TestRead_makes_no_page_of_two_servers(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, time.Minute)
	tx, lost := begun(ctx, t, store, "lost")
	appendEach(ctx, t, store, "kept", 100)
	other := server.Copy()
	must(t, tx.Commit(ctx))
	w, pool := newTurned(ctx, t, server, other)
	reader := pgstore.New(pool)
	_, err := reader.Life(ctx)
	must(t, err)
	w.left.Store(2)
	events, err := reader.Read(ctx, 0, 100)
	if left := w.left.Load(); left > 0 {
		t.Fatalf("the page took no second round trip: %d", left)
	}
	if err != nil || len(events) != 100 || events[0].ID == lost.ID {
		t.Errorf("%d events, the first at %d, %v: want those of the other server", len(events), events[0].Position, err)
	}
}

// One of the round trips of those who settle meets another server, which knows nothing of
// the append that is open: that it holds no lock there settles nothing, nor does what that
// server has.
func TestSettling_trusts_no_other_servers_locks(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 1)
	other := server.Copy()
	appendEach(ctx, t, pgstoretest.Open(t, other.URL()), "other's", 9)
	must(t, exec(ctx, other.Pool(), `update asof.settled_head set position = 8`))
	_, slow := begun(ctx, t, store, "slow")
	last := appendEach(ctx, t, store, "quick", 1)
	for what, settle := range map[string]func(context.Context, *pgstore.Store) error{
		"Settle": func(ctx context.Context, s *pgstore.Store) error {
			_, err := s.Settle(ctx, time.Time{})
			return err
		},
		"Settle as of a time": func(ctx context.Context, s *pgstore.Store) error {
			_, err := s.Settle(ctx, last.RecordedAt)
			return err
		},
		"SettleTo": func(ctx context.Context, s *pgstore.Store) error { return s.SettleTo(ctx, last.Position) },
		"Read": func(ctx context.Context, s *pgstore.Store) error {
			events, err := s.Read(ctx, 1, 10)
			if err == nil && len(events) == 0 {
				err = es.ErrNotSettled
			}
			return err
		},
		"KeepMoments": func(ctx context.Context, s *pgstore.Store) error {
			return errors.Join(s.KeepMoments(ctx), es.ErrNotSettled)
		},
	} {
		for trip := int64(1); trip <= 7; trip++ {
			w, pool := newTurned(ctx, t, server, other)
			reader := pgstore.New(pool)
			_, err := reader.Life(ctx)
			must(t, err)
			w.back = true
			w.left.Store(trip)
			short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			if err := settle(short, reader); err == nil {
				t.Errorf("%s, the other server at round trip %d: it is settled while an append at %d is open", what, trip, slow.Position)
			}
			cancel()
			if events, err := reader.Read(ctx, 1, 10); err != nil || len(events) > 0 {
				t.Errorf("%s, the other server at round trip %d: Read then gives %d events, %v", what, trip, len(events), err)
			}
			var head, at int64
			var final bool
			must(t, store.Pool().QueryRow(ctx, `select position, moment_position, moment is not null from asof.settled_head`).Scan(&head, &at, &final))
			if head > 1 || at > 1 || final {
				t.Fatalf("%s, the other server at round trip %d: stored are %d, %d and a moment: %v", what, trip, head, at, final)
			}
			pool.Close()
		}
	}
}

// The other server lags: its head is no place below which all is that was recorded before
// a moment of this one.
func TestMoment_takes_its_place_from_its_own_server(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 1)
	other := server.Copy()
	for what, settle := range map[string]func(context.Context, *pgstore.Store, es.RecordedEvent) error{
		"Settle": func(ctx context.Context, s *pgstore.Store, last es.RecordedEvent) error {
			p, err := s.Settle(ctx, last.RecordedAt)
			if err == nil && p < last.Position {
				err = fmt.Errorf("the event at %d is not below %d", last.Position, p)
			}
			return err
		},
		"KeepMoments": func(ctx context.Context, s *pgstore.Store, _ es.RecordedEvent) error { return s.KeepMoments(ctx) },
	} {
		for trip := int64(1); trip <= 5; trip++ {
			must(t, exec(ctx, store.Pool(), `update asof.settled_head set moment = null, moment_position = 0`))
			last := appendEach(ctx, t, store, "later", 1)
			w, pool := newTurned(ctx, t, server, other)
			reader := pgstore.New(pool)
			_, err := reader.Life(ctx)
			must(t, err)
			w.back = true
			w.left.Store(trip)
			if err := settle(ctx, reader, last); err != nil {
				t.Errorf("%s, the other server at round trip %d: %v", what, trip, err)
			}
			var wrong bool
			must(t, store.Pool().QueryRow(ctx, `select exists (select from asof.settled_head s join asof.events e on e.recorded_at < s.moment and e.position > s.moment_position)`).Scan(&wrong))
			if wrong {
				t.Errorf("%s, the other server at round trip %d: an event that was recorded before the stored moment lies above its position", what, trip)
			}
			pool.Close()
		}
	}
}

// What the standbys do not have was given to nobody: that a failover takes it back is no
// reason to refuse anybody.
func TestReplicated_reads_count_as_read_what_they_gave(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	kept := appendEach(ctx, t, store, "kept", 5)
	tx, _ := begun(ctx, t, store, "lost")
	last := appendEach(ctx, t, store, "kept", 1)
	other := server.Copy()
	must(t, tx.Commit(ctx))
	server.Set("synchronous_standby_names", "away")
	w, pool := newTurned(ctx, t, server, other)
	reader := pgstore.New(pool, pgstore.WithReplicatedReads())
	life, err := reader.Life(ctx)
	must(t, err)
	before := es.Checkpoint{Life: life, Position: kept.Position, EventID: kept.ID}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	if events, err := reader.ReadAfter(short, before, 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%d events, %v", len(events), err)
	}
	cancel()
	w.left.Store(1)
	if events, err := reader.ReadAfter(ctx, before, 10); err != nil || len(events) != 1 || events[0].ID != last.ID {
		t.Errorf("after the failover: %v, %v", events, err)
	}
	if _, err := reader.ReadAfter(ctx, es.Checkpoint{Life: life, Position: last.Position, EventID: last.ID}, 10); err != nil {
		t.Errorf("behind what nobody was given: %v", err)
	}
}
