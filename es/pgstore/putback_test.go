package pgstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// A program that was started at a position which it had kept, and has met no hole since:
// it has settled nothing, and has read events all the same.
func TestRestore_is_noticed_by_a_reader_that_began_in_the_middle(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	kept := appendEach(ctx, t, store, "kept", 15)
	backup := server.Backup()
	appendEach(ctx, t, store, "lost", 5)
	reader := pgstore.New(server.Pool())
	events, err := reader.Read(ctx, kept.Position, 10)
	must(t, err)
	if len(events) != 5 {
		t.Fatalf("%d events", len(events))
	}
	place := events[len(events)-1].Position

	server.Restore(backup)
	other := pgstore.New(server.Pool())
	must(t, retryUnreachable(ctx, func() error {
		_, err := other.Append(ctx, stream("new"), es.Any, someEvents(1)...)
		return err
	}))
	appendEach(ctx, t, other, "new", 9)
	err = retryUnreachable(ctx, func() error { events, err = reader.Read(ctx, place, 10); return err })
	wantRestored(t, "a position alone", err, "asof repair")
	if len(events) > 0 && err == nil {
		t.Errorf("it goes on with position %d, and has not read those of new life before", events[0].Position)
	}
}

// An append that was open when the backup was made has a lower position than one that
// the backup has: what a reader has read last is there, and something before it is not.
func TestRestore_that_lost_an_event_in_the_middle_is_noticed(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 5)
	tx, open := begun(ctx, t, store, "lost")
	last := appendEach(ctx, t, store, "kept", 1)
	backup := server.Backup()
	must(t, tx.Commit(ctx))
	place := reached(ctx, t, store)
	if place.Position != last.Position || open.Position >= last.Position {
		t.Fatalf("read up to %d, %d was open before %d", place.Position, open.Position, last.Position)
	}

	server.Restore(backup)
	other := pgstore.New(server.Pool())
	must(t, retryUnreachable(ctx, func() error {
		_, err := other.Append(ctx, stream("new"), es.Any, someEvents(1)...)
		return err
	}))
	wantRestored(t, "a checkpoint", retryUnreachable(ctx, func() error { _, err := store.ReadAfter(ctx, place, 10); return err }), "asof repair")
	wantRestored(t, "a position alone", retryUnreachable(ctx, func() error { _, err := store.Read(ctx, place.Position, 10); return err }), "asof repair")
}

// What was read stays known through another start of the server, and through what others
// of the program do.
func TestRestore_is_noticed_after_a_restart_and_beside_others(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 5)
	backup := server.Backup()
	appendEach(ctx, t, store, "lost", 5)
	program := pgstore.New(server.Pool())
	events, err := readAll(ctx, program, 0)
	must(t, err)
	place := events[len(events)-1].Position
	server.Stop()
	server.Restart()
	must(t, retryUnreachable(ctx, func() error { _, err := program.Read(ctx, place, 10); return err }))

	server.Restore(backup)
	other := pgstore.New(server.Pool())
	must(t, retryUnreachable(ctx, func() error {
		_, err := other.Append(ctx, stream("new"), es.Any, someEvents(1)...)
		return err
	}))
	appendEach(ctx, t, other, "new", 9)
	_, err = other.Repair(ctx, true, nil)
	must(t, err)
	now := reached(ctx, t, other)
	must(t, retryUnreachable(ctx, func() error { _, err := program.ReadAfter(ctx, now, 10); return err })) // a reader that is in the new life
	err = retryUnreachable(ctx, func() error { _, err := program.Read(ctx, place, 10); return err })
	if !errors.Is(err, es.ErrAnotherLife) {
		t.Errorf("who has read the lost events goes on, since another has gone on in the new life: %v", err)
	}
}

// A position that was settled before the log was put back is not so in the log that is
// there now.
func TestSettled_positions_are_those_of_the_log_that_is_there(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "kept", 5)
	backup := server.Backup()
	last := appendEach(ctx, t, store, "lost", 5)
	reached(ctx, t, store)
	must(t, store.SettleTo(ctx, last.Position))
	server.Restore(backup)
	other := pgstore.New(server.Pool())
	_, slow := begun(ctx, t, other, "slow")
	appendEach(ctx, t, other, "new", 9)
	short := within(t, 2*time.Second)
	if err := retryUnreachable(short, func() error { return store.SettleTo(short, last.Position) }); err == nil {
		t.Errorf("position %d is settled, and an append at %d is open", last.Position, slow.Position)
	}
}
