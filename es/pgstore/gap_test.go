package pgstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// gapped is a log of which a backup lacks an event in the middle: its append was open
// when the backup was made.
type gapped struct {
	server *embeddedtest.TestServer
	store  *pgstore.Store
	backup *embeddedtest.Backup
	before es.Checkpoint // of the event before the gap
	behind es.Checkpoint // of the last event that the backup has
}

func newGapped(ctx context.Context, t *testing.T) gapped {
	t.Helper()
	g := gapped{server: embeddedtest.Server(t)}
	g.store = pgstoretest.Open(t, g.server.URL())
	kept := appendEach(ctx, t, g.store, "kept", 5)
	tx, _ := begun(ctx, t, g.store, "lost")
	last := appendEach(ctx, t, g.store, "kept", 1)
	g.backup = g.server.Backup()
	must(t, tx.Commit(ctx))
	life, err := g.store.Life(ctx)
	must(t, err)
	g.before = es.Checkpoint{Life: life, Position: kept.Position, EventID: kept.ID}
	g.behind = es.Checkpoint{Life: life, Position: last.Position, EventID: last.ID}
	return g
}

// wantGap asks for what is refused behind the gap, and for what is right before it.
func (g *gapped) wantGap(ctx context.Context, t *testing.T, store *pgstore.Store) {
	t.Helper()
	for range 2 { // it stays so
		wantRestored(t, "ReadAfter", retryUnreachable(ctx, func() error { _, err := store.ReadAfter(ctx, g.behind, 10); return err }), "asof repair")
		wantRestored(t, "Verify", retryUnreachable(ctx, func() error { return store.Verify(ctx, g.behind) }))
		wantRestored(t, "Stream", retryUnreachable(ctx, func() error {
			return store.Stream(ctx, g.behind, g.behind.Position+10, 10, func(*pgstore.Page) error { return nil })
		}))
	}
	var events []es.RecordedEvent
	err := retryUnreachable(ctx, func() (err error) { events, err = store.ReadAfter(ctx, g.before, 10); return err })
	if err != nil || len(events) == 0 || events[0].ID != g.behind.EventID {
		t.Errorf("a checkpoint before the gap: %v, %v", events, err)
	}
}

// The end is lost too, and tells nothing of what is gone before it.
func TestRestore_that_lost_an_event_in_the_middle_is_noticed_beside_a_lost_end(t *testing.T) {
	t.Parallel()
	for name, later := range map[string]int{"which nothing has taken": 0, "which others have taken": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			g := newGapped(ctx, t)
			appendEach(ctx, t, g.store, "lost end", 2)
			reached(ctx, t, g.store)
			g.server.Restore(g.backup)
			other := pgstore.New(g.server.Pool())
			appendEach(ctx, t, other, "new", later)
			g.wantGap(ctx, t, g.store)
		})
	}
}

// A lost end alone is no gap: who begins anew goes on over the place where it was.
func TestRestore_that_lost_the_end_alone_leaves_no_gap(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 5)
	place := reached(ctx, t, store)
	backup := server.Backup()
	appendEach(ctx, t, store, "lost", 2)
	lost := reached(ctx, t, store)
	server.Restore(backup)
	appendEach(ctx, t, pgstore.New(server.Pool()), "new", 5)
	for range 2 {
		var events []es.RecordedEvent
		err := retryUnreachable(ctx, func() (err error) { events, err = store.ReadAfter(ctx, place, 10); return err })
		if err != nil || len(events) != 5 {
			t.Fatalf("from before the loss: %v, %v", events, err)
		}
		last := events[4]
		there := es.Checkpoint{Life: place.Life, Position: last.Position, EventID: last.ID}
		err = retryUnreachable(ctx, func() (err error) { events, err = store.ReadAfter(ctx, there, 10); return err })
		if err != nil || len(events) > 0 {
			t.Errorf("behind the place of the loss: %v, %v", events, err)
		}
	}
	err := retryUnreachable(ctx, func() error { _, err := store.ReadAfter(ctx, lost, 10); return err })
	wantRestored(t, "a checkpoint that is gone", err)
}

// A program that repairs the store, and says that nothing was lost, has read what is gone.
func TestRestore_that_lost_an_event_in_the_middle_is_noticed_after_a_repair(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	g := newGapped(ctx, t)
	reached(ctx, t, g.store)
	g.server.Restore(g.backup)
	must(t, retryUnreachable(ctx, func() error { _, err := g.store.Repair(ctx, false, nil); return err }))
	g.wantGap(ctx, t, g.store)
	err := retryUnreachable(ctx, func() error { _, err := g.store.Read(ctx, g.behind.Position, 10); return err })
	wantRestored(t, "a position alone", err)
}

// What was streamed counts as read.
func TestRestore_that_lost_an_event_in_the_middle_is_noticed_by_who_has_streamed_it(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	g := newGapped(ctx, t)
	if n := len(streamed(ctx, t, g.store, es.Checkpoint{}, g.behind.Position, 3)); n != 7 {
		t.Fatalf("%d events", n)
	}
	g.server.Restore(g.backup)
	g.wantGap(ctx, t, g.store)
}

// The tables are filled from a dump while the server runs on.
func TestRestore_into_the_running_server_is_noticed(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	store := open(t)
	appendEach(ctx, t, store, "kept", 5)
	appendEach(ctx, t, store, "lost", 1)
	appendEach(ctx, t, store, "kept", 1)
	place := reached(ctx, t, store)
	must(t, exec(ctx, store.Pool(), `
		alter sequence asof.events_position owned by none;
		create table asof.filled (like asof.events including all);
		insert into asof.filled select * from asof.events where stream_id <> 'lost';
		drop table asof.events cascade;
		alter table asof.filled rename to events`))
	_, err := store.ReadAfter(ctx, place, 10)
	wantRestored(t, "ReadAfter", err, "the events table's oid")
	_, err = store.Read(ctx, place.Position, 10)
	wantRestored(t, "Read", err)
	_, err = store.Settle(ctx, time.Time{})
	wantRestored(t, "Settle", err)
	err = store.Stream(ctx, place, place.Position+1, 10, func(*pgstore.Page) error { return nil })
	wantRestored(t, "Stream", err)
	_, err = store.Repair(ctx, false, nil)
	must(t, err)
	_, err = store.ReadAfter(ctx, place, 10)
	wantRestored(t, "after the repair", err, "position 6")
}

// However much a program has read, the last of it stays known.
func TestRestore_that_lost_one_of_the_last_of_many_is_noticed(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	store := open(t)
	for range 5 {
		_, err := store.Append(ctx, stream("1"), es.Any, someEvents(1000)...)
		must(t, err)
	}
	place := reached(ctx, t, store)
	must(t, exec(ctx, store.Pool(), `set session_replication_role = replica; delete from asof.events where position = 4500; set session_replication_role = origin`))
	_, err := store.Repair(ctx, false, nil)
	must(t, err)
	_, err = store.ReadAfter(ctx, place, 10)
	wantRestored(t, "ReadAfter", err, "position 4500")
}

// A second loss, further on, does not make good the first.
func TestRestore_that_lost_two_events_one_after_the_other_leaves_the_first_gap(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	store := open(t)
	appendEach(ctx, t, store, "1", 10)
	life, err := store.Life(ctx)
	must(t, err)
	at := func(p es.Position) es.Checkpoint {
		return es.Checkpoint{Life: life, Position: p, EventID: eventAt(ctx, t, store, p)}
	}
	after := es.Checkpoint{} // so that all is read by the first
	for _, lost := range []int{4, 8} {
		_, err = store.ReadAfter(ctx, after, 10)
		must(t, err)
		must(t, exec(ctx, store.Pool(), fmt.Sprintf(`set session_replication_role = replica; delete from asof.events where position = %d; set session_replication_role = origin`, lost)))
		_, err := store.Repair(ctx, false, nil)
		must(t, err)
		wantRestored(t, "behind the loss", store.Verify(ctx, at(10)))
		after = at(3)
		must(t, store.Verify(ctx, after))
		wantRestored(t, "behind the first loss", store.Verify(ctx, at(5)), "position 4")
	}
}
