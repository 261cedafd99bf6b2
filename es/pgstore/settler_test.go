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

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// gate holds up the next answer of the server, once it is armed.
type gate struct {
	armed   atomic.Bool
	arrived chan struct{}
	open    chan struct{}
}

type gated struct {
	net.Conn
	gate *gate
}

func (c gated) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.gate.armed.CompareAndSwap(true, false) {
		close(c.gate.arrived)
		<-c.gate.open
	}
	return n, err
}

// A page that was read before an append became visible, and arrives after another
// reader has settled past it: what the head covers must be in the page.
func TestRead_takes_the_head_that_was_known_before_its_page(t *testing.T) {
	t.Parallel()
	g := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) {
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return gated{conn, g}, err
		}
	}))
	ctx := within(t, 60*time.Second)
	tx, slow := begun(ctx, t, store, "slow")
	quick := appendEach(ctx, t, store, "quick", 1)
	if events, err := store.Read(ctx, 0, 10); err != nil || len(events) != 0 { // prepares its statements
		t.Fatalf("%v, %v", events, err)
	}
	g.armed.Store(true)
	var late []es.RecordedEvent
	done := make(chan error, 1)
	go func() {
		var err error
		late, err = store.Read(ctx, 0, 10)
		done <- err
	}()
	<-g.arrived // the page has the quick event alone
	must(t, tx.Commit(ctx))
	head, err := store.Settle(ctx, time.Time{})
	must(t, err)
	if head != quick.Position {
		t.Fatalf("settled up to %d", head)
	}
	close(g.open)
	must(t, <-done)
	if len(late) > 0 && late[0].ID != slow.ID {
		t.Errorf("the page begins at %d, past the event at %d", late[0].Position, slow.Position)
	}
}

// A reader that begins past a hole says nothing about the hole.
func TestRead_past_a_hole_settles_nothing(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	begun(ctx, t, store, "open") // position 1
	last := appendEach(ctx, t, store, "1", 3)
	if _, err := store.Read(ctx, last.Position-1, 10); err != nil {
		t.Fatal(err)
	}
	if events, err := store.Read(ctx, 0, 10); err != nil || len(events) != 0 {
		t.Errorf("read %v, %v over an append that is open", events, err)
	}
}

// Only those who held the lock when the target was noted are waited for.
func TestRead_does_not_wait_for_appends_that_came_later(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	first, _ := begun(ctx, t, store, "first")
	appendEach(ctx, t, store, "1", 1)
	if events, err := store.Read(ctx, 0, 10); err != nil || len(events) != 0 { // notes the target
		t.Fatalf("%v, %v", events, err)
	}
	begun(ctx, t, store, "second")
	must(t, first.Rollback(ctx)) // a hole, which the second has not made
	short := within(t, 10*time.Second)
	for {
		events, err := store.Read(short, 0, 10)
		must(t, err)
		if len(events) == 1 {
			break
		}
	}
}

// What others have stored does not go back, be it a head or a moment.
func TestSettled_head_does_not_go_back_in_the_database(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	hole := func() {
		tx, _ := begun(ctx, t, store, "rolled back")
		must(t, tx.Rollback(ctx))
		appendEach(ctx, t, store, "1", 1)
		_, err := readAll(ctx, store, 0)
		must(t, err)
	}
	hole()
	_, err := store.Settle(ctx, clock(ctx, t, store))
	if err != nil && !errors.Is(err, es.ErrNotSettled) {
		t.Fatal(err)
	}
	must(t, exec(ctx, store.Pool(), `update asof.settled_head set position = 1000, moment = '2999-01-01', moment_position = 1000`)) // another process
	pause(ctx, 1100*time.Millisecond)                                                                                               // past the time between two stores
	hole()
	must(t, store.KeepMoments(ctx))
	var head, at int64
	var moment time.Time
	must(t, store.Pool().QueryRow(ctx, `select position, moment_position, moment from asof.settled_head`).Scan(&head, &at, &moment))
	if head != 1000 || at != 1000 || moment.Year() != 2999 {
		t.Errorf("stored are %d, %d and %s", head, at, moment)
	}
}

// The same for one who has waited while another was faster.
func TestSettled_moment_does_not_go_back_in_the_database(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	last := appendEach(ctx, t, store, "1", 1)
	stored := func() (head, at int64, moment time.Time) {
		must(t, store.Pool().QueryRow(ctx, `select position, moment_position, moment from asof.settled_head`).Scan(&head, &at, &moment))
		return head, at, moment
	}
	must(t, exec(ctx, store.Pool(), `update asof.settled_head set position = 1000`))
	_, err := store.Settle(ctx, last.RecordedAt)
	must(t, err)
	if head, at, moment := stored(); head != 1000 || at != 1 || !moment.After(last.RecordedAt) {
		t.Errorf("stored are %d, %d and %s", head, at, moment)
	}
	tx, slow := begun(ctx, t, store, "slow")
	answer := make(chan error, 1)
	go func() {
		_, err := store.Settle(ctx, slow.RecordedAt)
		answer <- err
	}()
	waitFor(t, store, fmt.Sprintf(`select pg_sequence_last_value('asof.settled_moment') > %d`, slow.RecordedAt.UnixMicro()))
	must(t, exec(ctx, store.Pool(), `update asof.settled_head set moment = '2999-01-01', moment_position = 1000`))
	must(t, tx.Commit(ctx))
	must(t, <-answer)
	if head, at, moment := stored(); head != 1000 || at != 1000 || moment.Year() != 2999 {
		t.Errorf("after the wait stored are %d, %d and %s", head, at, moment)
	}
}

// The moment itself is not final: an event may yet be recorded at it.
func TestSettle_refuses_the_very_moment_of_the_clock(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	appendEach(ctx, t, store, "1", 1)
	moment := clock(ctx, t, store).Add(time.Hour).Truncate(time.Microsecond)
	must(t, exec(ctx, store.Pool(), fmt.Sprintf(`select setval('asof.settled_moment', %d)`, moment.UnixMicro())))
	for range 2 { // made final, and found stored
		if _, err := store.Settle(ctx, moment); !errors.Is(err, es.ErrNotSettled) {
			t.Errorf("the very moment: %v", err)
		}
		if _, err := store.Settle(ctx, moment.Add(-time.Microsecond)); err != nil {
			t.Errorf("just before it: %v", err)
		}
	}
	recorded, err := store.Append(ctx, stream("1"), es.Any, someEvents(1)...)
	must(t, err)
	if !recorded[0].RecordedAt.Equal(moment) {
		t.Errorf("recorded at %s, want the moment %s", recorded[0].RecordedAt, moment)
	}
}

// Who has lost a race takes the stream's lock, so that many who append to one stream
// take turns.
func TestAppend_that_lost_a_race_waits_for_the_streams_lock(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	holder, err := store.Pool().Begin(ctx)
	must(t, err)
	defer holder.Rollback(context.WithoutCancel(ctx))
	_, err = holder.Exec(ctx, `select pg_advisory_xact_lock('asof.events'::regclass::oid::int, hashtext('test/1'))`)
	must(t, err)
	rival, _ := begun(ctx, t, store, "1")
	answer := make(chan error, 1)
	go func() {
		_, err := store.Append(ctx, stream("1"), es.Any, someEvents(1)...)
		answer <- err
	}()
	waitFor(t, store, `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`)
	must(t, rival.Commit(ctx))
	select {
	case err := <-answer:
		t.Fatalf("it came back with %v while another has the stream's lock", err)
	case <-time.After(300 * time.Millisecond):
	}
	must(t, holder.Commit(ctx))
	must(t, <-answer)
}

// The largest batch: positions follow the versions, which follow the given order.
func TestAppend_draws_the_positions_of_a_batch_in_its_order(t *testing.T) {
	t.Parallel()
	store := open(t)
	events := someEvents(es.MaxBatch)
	recorded, err := store.Append(t.Context(), stream("1"), es.Any, events...)
	must(t, err)
	for i, e := range recorded {
		if e.ID != events[i].ID || e.Version != es.Version(i+1) || i > 0 && e.Position != recorded[i-1].Position+1 {
			t.Fatalf("event %d is version %d at %d, after %d", i, e.Version, e.Position, recorded[max(0, i-1)].Position)
		}
	}
}

// What a program knows of the log is of one life of the store: when somebody else has
// begun another, it goes on in that, and who brings a place of the life before is refused.
func TestRun_ends_with_the_life_of_the_store(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	appendEach(ctx, t, store, "1", 3)
	life, err := store.Life(ctx)
	must(t, err)
	must(t, exec(ctx, store.Pool(), `update asof.store_identity set life = gen_random_uuid()`)) // a repair by somebody else
	if _, err := store.Read(ctx, 0, 10); err != nil {
		t.Errorf("from the beginning: %v", err)
	}
	now, err := store.Life(ctx)
	must(t, err)
	if now == life {
		t.Error("the program believes in the life before")
	}
	if err := store.Verify(ctx, es.Checkpoint{Life: life, Position: 3}); !errors.Is(err, es.ErrAnotherLife) {
		t.Errorf("got %v", err)
	}
	if got, err := pgstore.New(store.Pool()).Life(ctx); err != nil || got != now {
		t.Errorf("another program finds life %s, %v", got, err)
	}
}
