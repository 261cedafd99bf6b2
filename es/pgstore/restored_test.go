package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// appendEach appends events one by one, and returns the last.
func appendEach(ctx context.Context, t *testing.T, store *pgstore.Store, id string, n int) (last es.RecordedEvent) {
	t.Helper()
	for range n {
		recorded, err := store.Append(ctx, stream(id), es.Any, someEvents(1)...)
		must(t, err)
		last = recorded[0]
	}
	return last
}

// reached gives a reader's place after all that is settled.
func reached(ctx context.Context, t *testing.T, store *pgstore.Store) es.Checkpoint {
	t.Helper()
	events, err := readAll(ctx, store, 0)
	must(t, err)
	if len(events) == 0 {
		t.Fatal("the log is empty")
	}
	last := events[len(events)-1]
	life, err := store.Life(ctx)
	must(t, err)
	return es.Checkpoint{Life: life, Position: last.Position, EventID: last.ID}
}

// retryUnreachable asks again while the server is being started anew, and over the
// connections of the pool that broke with it, of which there may be several.
func retryUnreachable(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if err == nil || errors.Is(err, es.ErrRestored) || errors.Is(err, es.ErrAnotherLife) || errors.Is(err, es.ErrNotSettled) || ctx.Err() != nil {
			return err
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func wantRestored(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, es.ErrRestored) {
		t.Errorf("%s: got %v, want es.ErrRestored", what, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q does not say %q", what, err, part)
		}
	}
}

// A database is put back to a backup under a program that reads the log. The positions
// that it has read are given again, to other events; one of them is still being written
// when it goes on.
func TestRestore_is_noticed_by_a_reader_that_went_on(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 45)
	backup := server.Backup()
	appendEach(ctx, t, store, "lost", 5)
	place := reached(ctx, t, store)

	server.Restore(backup)
	other := pgstore.New(server.Pool()) // a service that was started after the restore
	if err := retryUnreachable(ctx, func() error {
		_, err := other.Append(ctx, stream("new"), es.Any, someEvents(1)...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	appendEach(ctx, t, other, "new", 10)
	tx, slow := begun(ctx, t, other, "slow")
	appendEach(ctx, t, other, "new", 1)

	for range 3 { // it stays refused
		wantRestored(t, "a position alone", retryUnreachable(ctx, func() error { _, err := store.Read(ctx, place.Position, 10); return err }), "asof repair")
		wantRestored(t, "a checkpoint", retryUnreachable(ctx, func() error { _, err := store.ReadAfter(ctx, place, 10); return err }), "asof repair")
		wantRestored(t, "a checkpoint in a new program", retryUnreachable(ctx, func() error { _, err := pgstore.New(server.Pool()).ReadAfter(ctx, place, 10); return err }), "asof repair")
	}
	// Who begins anew is right, and what is known of the old log does not count.
	short := within(t, 2*time.Second)
	var events []es.RecordedEvent
	err := retryUnreachable(short, func() (err error) { events, err = store.Read(short, 0, 100); return err })
	if err != nil || len(events) == 0 || events[len(events)-1].Position >= slow.Position {
		t.Errorf("from the beginning: %d events, %v: want those below the open append at %d", len(events), err, slow.Position)
	}
	if _, err := store.Settle(short, time.Time{}); err == nil {
		t.Error("the head is settled while an append is open")
	}
	err = retryUnreachable(ctx, func() error { _, err := store.Read(ctx, place.Position, 10); return err })
	if !errors.Is(err, es.ErrRestored) {
		t.Errorf("who has read the lost events goes on, since another has begun anew: %v", err)
	}
	must(t, tx.Commit(ctx))
	if events, err := readAll(ctx, pgstore.New(server.Pool()), 0); err != nil || len(events) != 45+11+1+1 {
		t.Errorf("the log has %d events, %v", len(events), err)
	}

	// After the repair it is another life, and so it is for those who come later.
	repaired, err := other.Repair(ctx, true, nil)
	must(t, err)
	if repaired.Life == place.Life {
		t.Error("the store lives on as if nothing was lost")
	}
	if _, err := store.ReadAfter(ctx, place, 10); !errors.Is(err, es.ErrAnotherLife) {
		t.Errorf("a checkpoint of the life before: %v", err)
	}
	if _, err := store.Read(ctx, place.Position, 10); err == nil {
		t.Error("the program that has read the lost events goes on by a position alone")
	}
	now := reached(ctx, t, other)
	if events, err := store.ReadAfter(ctx, now, 10); err != nil || len(events) != 0 {
		t.Errorf("a checkpoint of this life: %v, %v", events, err)
	}
}

// A backup that has all that a reader has read: it goes on where it was, by itself.
func TestRestore_that_lost_nothing_of_a_reader_is_no_obstacle(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "kept", 20)
	place := reached(ctx, t, store)
	backup := server.Backup()
	server.Restore(backup)
	var events []es.RecordedEvent
	err := retryUnreachable(ctx, func() (err error) {
		if _, err = store.Append(ctx, stream("later"), es.Any, someEvents(1)...); err == nil {
			events, err = store.ReadAfter(ctx, place, 10)
		}
		return err
	})
	if err != nil || len(events) == 0 || events[0].Stream.ID != "later" {
		t.Errorf("got %v, %v", events, err)
	}
}

// The place of a store: a copy in another database, a promoted standby, a recovery to a
// moment and a table that was made anew are refused by all who read, until repair.
func TestStore_that_is_elsewhere_is_refused_until_repair(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(ctx context.Context, t *testing.T, server *embeddedtest.TestServer) string{
		"the database's oid": func(ctx context.Context, t *testing.T, server *embeddedtest.TestServer) string {
			admin, err := pgx.Connect(ctx, server.URL())
			must(t, err)
			defer admin.Close(ctx)
			_, err = admin.Exec(ctx, `create database copy template store`)
			must(t, err)
			return database(t, server, "copy")
		},
		"its timeline": func(ctx context.Context, t *testing.T, server *embeddedtest.TestServer) string {
			standby := server.Standby("s1")
			standby.Promote()
			return database(t, standby, "store")
		},
		"the cluster's system identifier": func(ctx context.Context, t *testing.T, server *embeddedtest.TestServer) string {
			other := embeddedtest.Server(t, embeddedtest.OwnIdentity())
			return copied(ctx, t, server, other)
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			server := embeddedtest.Server(t)
			must(t, exec(ctx, server.Pool(), `create database store`))
			store := pgstoretest.Open(t, database(t, server, "store"))
			appendEach(ctx, t, store, "1", 10)
			place := reached(ctx, t, store)
			store.Pool().Close() // a database that is copied has no other users

			pool, err := pgxpool.New(ctx, move(ctx, t, server))
			must(t, err)
			t.Cleanup(pool.Close)
			moved := pgstore.New(pool)
			_, err = moved.Read(ctx, 0, 10)
			wantRestored(t, "Read", err, name, "asof repair")
			_, err = moved.ReadAfter(ctx, place, 10)
			wantRestored(t, "ReadAfter", err, name)
			_, err = moved.Settle(ctx, time.Time{})
			wantRestored(t, "Settle", err, name)
			wantRestored(t, "KeepMoments", moved.KeepMoments(ctx), name)
			_, err = moved.Life(ctx)
			wantRestored(t, "Life", err, name)

			repaired, err := moved.Repair(ctx, false, nil)
			must(t, err)
			if repaired.Life != place.Life || !strings.Contains(repaired.Place, name) || repaired.Head != place.Position {
				t.Errorf("repaired: %+v", repaired)
			}
			appendEach(ctx, t, moved, "1", 1)
			if events, err := moved.ReadAfter(ctx, place, 10); err != nil || len(events) != 1 {
				t.Errorf("after the repair: %v, %v", events, err)
			}
		})
	}
}

func database(t *testing.T, server *embeddedtest.TestServer, name string) string {
	t.Helper()
	u, err := url.Parse(server.URL())
	must(t, err)
	u.Path = "/" + name
	return u.String()
}

// copied copies the store's tables as a dump has them, by COPY, with the sequences.
func copied(ctx context.Context, t *testing.T, from, to *embeddedtest.TestServer) string {
	t.Helper()
	must(t, exec(ctx, to.Pool(), `create database store`))
	target := database(t, to, "store")
	pgstoretest.Open(t, target)
	old, err := pgx.Connect(ctx, database(t, from, "store"))
	must(t, err)
	defer old.Close(ctx)
	dump, err := pgx.Connect(ctx, target)
	must(t, err)
	defer dump.Close(ctx)
	for _, table := range []string{"events", "store_identity", "settled_head", "categories"} {
		if table != "events" {
			_, err = dump.Exec(ctx, `delete from asof.`+table)
			must(t, err)
		}
		var data strings.Builder
		_, err = old.PgConn().CopyTo(ctx, &data, `copy asof.`+table+` to stdout`)
		must(t, err)
		_, err = dump.PgConn().CopyFrom(ctx, strings.NewReader(data.String()), `copy asof.`+table+` from stdin`)
		must(t, err)
	}
	_, err = dump.Exec(ctx, `select setval('asof.events_position', (select max(position) from asof.events))`)
	must(t, err)
	return target
}

// A pool whose address leads to the primary first, then to a standby that lags, and to
// that standby when it is promoted.
func TestPool_that_leads_to_a_standby_is_refused(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	appendEach(ctx, t, store, "1", 5)
	standby := server.Standby("s1")
	server.AwaitStandby("s1")
	appendEach(ctx, t, store, "1", 5)
	server.AwaitStandby("s1")
	place := reached(ctx, t, store)
	server.Stop()
	standby.TakeAddress(server)
	for what, ask := range map[string]func() error{
		"Read":     func() error { _, err := store.Read(ctx, place.Position, 10); return err },
		"Settle":   func() error { _, err := store.Settle(ctx, time.Time{}); return err },
		"SettleAt": func() error { _, err := store.Settle(ctx, time.Now().Add(-time.Hour)); return err },
		"Verify":   func() error { return store.Verify(ctx, place) },
	} {
		err := retryUnreachable(ctx, func() error {
			err := ask()
			if err != nil && strings.Contains(err.Error(), "standby") {
				return fmt.Errorf("%w: %w", es.ErrRestored, err)
			}
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "this server is a standby") {
			t.Errorf("%s on a standby: %v", what, err)
		}
	}
	standby.Promote()
	_, err := store.ReadAfter(ctx, place, 10)
	wantRestored(t, "after the promotion", err, "timeline")
	_, err = store.Repair(ctx, false, nil)
	must(t, err)
	appendEach(ctx, t, store, "1", 1)
	if events, err := store.ReadAfter(ctx, place, 10); err != nil || len(events) != 1 {
		t.Errorf("after the repair: %v, %v", events, err)
	}
	if events, err := store.Read(ctx, place.Position, 10); err != nil || len(events) != 1 {
		t.Errorf("after the repair, by position: %v, %v", events, err)
	}
}

// The server starts again, as it does after a crash: nothing is lost, and readers go on.
func TestRestart_is_no_obstacle(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 5)
	place := reached(ctx, t, store)
	for _, end := range []func(){server.Kill, server.Stop} {
		end()
		server.Restart()
		store.Pool().Reset()
		appendEach(ctx, t, store, "1", 1)
		if events, err := store.Read(ctx, place.Position, 10); err != nil || len(events) == 0 {
			t.Errorf("%v, %v", events, err)
		}
	}
}

// A log that is not what a checkpoint says: another event, none, another life.
func TestCheckpoint_that_does_not_fit_is_refused(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := t.Context()
	appendEach(ctx, t, store, "1", 5)
	tx, hole := begun(ctx, t, store, "rolled back")
	must(t, tx.Rollback(ctx))
	appendEach(ctx, t, store, "1", 1)
	place := reached(ctx, t, store)
	for what, c := range map[string]es.Checkpoint{
		"another event":  {Position: place.Position, EventID: es.NewID()},
		"no event":       {Position: hole.Position, EventID: hole.ID},
		"past the end":   {Position: place.Position + 1, EventID: place.EventID},
		"another's life": {Life: place.Life, Position: 2, EventID: place.EventID},
	} {
		_, err := store.ReadAfter(ctx, c, 10)
		wantRestored(t, what, err, "asof repair")
		wantRestored(t, what+", verified", store.Verify(ctx, c))
	}
	if _, err := store.ReadAfter(ctx, es.Checkpoint{Life: uuid.New(), Position: place.Position, EventID: place.EventID}, 10); !errors.Is(err, es.ErrAnotherLife) {
		t.Errorf("another life: %v", err)
	}
	must(t, store.Verify(ctx, place))
	must(t, store.Verify(ctx, es.Checkpoint{}))
}

// A repair waits for no append for long, leaves nothing behind when it is refused, and
// is whole or not at all.
func TestRepair_is_refused_while_an_append_is_open(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 2)
	place := reached(ctx, t, store)
	tx, _ := begun(ctx, t, store, "open")
	if _, err := store.Repair(ctx, true, nil); !errors.Is(err, es.ErrNotSettled) || !strings.Contains(err.Error(), "asof status") {
		t.Errorf("got %v", err)
	}
	must(t, tx.Commit(ctx))
	why := errors.New("not now")
	if _, err := store.Repair(ctx, true, func(context.Context, pgx.Tx, pgstore.Repaired) error { return why }); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	must(t, pgstore.New(store.Pool()).Verify(ctx, place)) // still in its life
	if n := locks(ctx, t, store); n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

func locks(ctx context.Context, t *testing.T, store *pgstore.Store) (n int) {
	t.Helper()
	must(t, store.Pool().QueryRow(ctx, `select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`).Scan(&n))
	return n
}
