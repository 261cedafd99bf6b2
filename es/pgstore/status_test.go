package pgstore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

func statusOf(t *testing.T, store *pgstore.Store) pgstore.Status {
	t.Helper()
	status, err := store.Status(t.Context())
	must(t, err)
	return status
}

func TestStatus_tells_how_the_log_is(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	life, err := store.Life(ctx)
	must(t, err)
	if d := cmp.Diff(pgstore.Status{Life: life, Categories: []pgstore.Category{}, Holders: []pgstore.Holder{}}, statusOf(t, store)); d != "" {
		t.Errorf("an empty log (-want +got):\n%s", d)
	}
	appendEach(ctx, t, store, "1", 3)
	appendEach(ctx, t, store, "2", 1)
	_, err = store.Append(ctx, es.StreamID{Category: "another", ID: "1"}, es.NoStream, someEvents(2)...)
	must(t, err)
	tx, _ := begun(ctx, t, store, "rolled back")
	must(t, tx.Rollback(ctx))
	last := appendEach(ctx, t, store, "1", 1)
	_, err = store.Settle(ctx, last.RecordedAt)
	must(t, err)
	status := statusOf(t, store)
	if !status.Moment.After(last.RecordedAt) || status.Moment.Location() != time.UTC {
		t.Errorf("the moment %s is not behind %s", status.Moment, last.RecordedAt)
	}
	status.Moment = time.Time{}
	want := pgstore.Status{
		Head: 8, Settled: 8, Events: 7, Life: life, Holders: []pgstore.Holder{},
		Categories: []pgstore.Category{{Name: "another", Streams: 1}, {Name: "test", Streams: 2}},
	}
	if d := cmp.Diff(want, status); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// The oldest holder comes first, a prepared one has a name, and one with savepoints
// counts once.
func TestStatus_names_each_holder_once(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = "the holder" }))
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 1)
	first, err := store.Pool().Begin(ctx)
	must(t, err)
	for _, id := range []string{"a", "b"} {
		savepoint, err := first.Begin(ctx)
		must(t, err)
		_, err = store.InTx(savepoint).Append(ctx, stream(id), es.NoStream, someEvents(1)...)
		must(t, err)
		must(t, savepoint.Commit(ctx))
	}
	holds := func(id string) (pid int) {
		tx, _ := begun(ctx, t, store, id)
		must(t, tx.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid))
		return pid
	}
	second := holds("c")
	name := "held " + store.Pool().Config().ConnConfig.Database
	_, err = first.Exec(ctx, `prepare transaction '`+name+`'`)
	must(t, err)
	must(t, first.Commit(ctx))
	third := holds("d")
	appendEach(ctx, t, store, "1", 1)
	status := statusOf(t, store)
	for i := range status.Holders {
		if status.Holders[i].Since.IsZero() {
			t.Errorf("since when holds %+v?", status.Holders[i])
		}
		status.Holders[i].Since = time.Time{}
	}
	// A prepared transaction began when it was prepared.
	want := []pgstore.Holder{
		{PID: second, Application: "the holder", State: "idle in transaction"}, {Prepared: name, State: "prepared"},
		{PID: third, Application: "the holder", State: "idle in transaction"},
	}
	if d := cmp.Diff(want, status.Holders); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if status.Head != 6 || status.Settled != 0 {
		t.Errorf("the head is %d, settled %d", status.Head, status.Settled)
	}
	must(t, exec(ctx, store.Pool(), `rollback prepared '`+name+`'`))
}

// On a standby the locks of appends are not visible: it knows no more than is stored.
func TestStatus_of_a_standby_does_not_take_the_head_for_settled(t *testing.T) {
	t.Parallel()
	primary := embeddedtest.Server(t)
	store := pgstoretest.Open(t, primary.URL())
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "1", 1)
	_, slow := begun(ctx, t, store, "slow")
	last := appendEach(ctx, t, store, "1", 1)
	standby := primary.Standby("s1")
	primary.AwaitStandby("s1")
	if status := statusOf(t, pgstore.New(standby.Pool())); status.Head != last.Position || status.Settled >= slow.Position {
		t.Errorf("the head is %d, settled %d, and an append at %d is open", status.Head, status.Settled, slow.Position)
	}
}

// What this program has settled before the log was put back, and what is stored of a
// place that the log does not have, is not settled.
func TestStatus_does_not_take_for_settled_what_was_put_back(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, time.Minute)
	appendEach(ctx, t, store, "kept", 5)
	backup := server.Backup()
	appendEach(ctx, t, store, "lost", 5)
	reached(ctx, t, store)
	server.Restore(backup)
	other := pgstore.New(server.Pool())
	_, slow := begun(ctx, t, other, "slow")
	appendEach(ctx, t, other, "new", 9)
	must(t, exec(ctx, other.Pool(), `update asof.settled_head set position = 1000`))
	for name, s := range map[string]*pgstore.Store{"the program": store, "a new one": other} {
		var status pgstore.Status
		must(t, retryUnreachable(ctx, func() (err error) { status, err = s.Status(ctx); return err }))
		if status.Settled >= slow.Position {
			t.Errorf("%s: settled are %d, and an append at %d is open", name, status.Settled, slow.Position)
		}
	}
}
