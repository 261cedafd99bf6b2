package pgstore_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// What would break the settled log, one test each. See docs/adr for the list.

// A sequence with a cache hands low positions to late appends.
func TestSequence_cache_is_refused(t *testing.T) {
	t.Parallel()
	store := open(t)
	must(t, exec(t.Context(), store.Pool(), `alter sequence asof.events_position cache 20`))
	_, err := store.Append(t.Context(), stream("1"), es.NoStream, someEvents(1)...)
	if err == nil || !strings.Contains(err.Error(), "alter sequence asof.events_position cache 1") {
		t.Fatalf("got %v, want a refusal that says how to mend it", err)
	}
	if _, err := store.Read(t.Context(), 0, 1); err == nil {
		t.Error("Read goes on with a cached sequence")
	}
}

// A lock that the insert does not depend on would not be taken.
func TestAppend_holds_the_lock(t *testing.T) {
	t.Parallel()
	store := open(t)
	for _, id := range []string{"exactly", "any", "exists"} {
		_, err := store.Append(t.Context(), stream(id), es.NoStream, someEvents(1)...)
		must(t, err)
	}
	for name, count := range map[string]int{"one event": 1, "several": 3} {
		for want, id := range map[es.Expected]string{es.NoStream: "none", es.Exactly(1): "exactly", es.Any: "any", es.StreamExists: "exists"} {
			tx, err := store.Pool().Begin(t.Context())
			must(t, err)
			if n := sharedLocks(t, tx); n != 0 {
				t.Fatalf("%s: %d locks before the append", name, n)
			}
			_, err = store.InTx(tx).Append(t.Context(), stream(id), want, someEvents(count)...)
			must(t, err)
			if n := sharedLocks(t, tx); n != 1 {
				t.Errorf("%s, %s: the append holds %d shared locks, want 1", name, want, n)
			}
			must(t, tx.Rollback(t.Context()))
		}
	}
	// The breaker itself: a CTE that nothing reads is not run.
	tx, err := store.Pool().Begin(t.Context())
	must(t, err)
	defer tx.Rollback(t.Context())
	_, err = tx.Exec(t.Context(), `with lock as materialized (select pg_advisory_xact_lock_shared(1)) select 1`)
	must(t, err)
	if n := sharedLocks(t, tx); n != 0 {
		t.Errorf("an unread CTE took %d locks: the reason for reading it is gone", n)
	}
}

// The lock comes first: then the clock is read, and then a position is drawn. In the
// other order a reader could take a hole for rolled back, or a time for settled.
func TestThe_lock_comes_first(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	for _, id := range []string{"exactly", "any", "exists"} {
		_, err := store.Append(ctx, stream(id), es.NoStream, someEvents(1)...)
		must(t, err)
	}
	drawn := func() (n int64) {
		must(t, store.Pool().QueryRow(ctx, `select last_value from asof.events_position`).Scan(&n))
		return n
	}
	for _, count := range []int{1, 3} {
		for want, id := range map[es.Expected]string{es.NoStream: "none" + string(rune('0'+count)), es.Exactly(es.Version(1 + count/3)): "exactly", es.Any: "any", es.StreamExists: "exists"} {
			tx, err := store.Pool().Begin(ctx)
			must(t, err)
			defer tx.Rollback(context.WithoutCancel(ctx))
			_, err = tx.Exec(ctx, `select pg_advisory_xact_lock((1634955110::bigint << 32) | 'asof.events'::regclass::oid::bigint)`)
			must(t, err)
			before := drawn()
			type answer struct {
				events []es.RecordedEvent
				err    error
			}
			answers := make(chan answer, 1)
			go func() {
				events, err := store.Append(ctx, stream(id), want, someEvents(count)...)
				answers <- answer{events, err}
			}()
			waitFor(t, store, `select exists (select from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and not granted and database = (select oid from pg_database where datname = current_database()))`)
			if n := drawn(); n != before {
				t.Errorf("%s, %d events: position %d was drawn without the lock", want, count, n)
			}
			var released time.Time
			must(t, tx.QueryRow(ctx, `select clock_timestamp()`).Scan(&released))
			must(t, tx.Rollback(ctx))
			a := <-answers
			must(t, a.err)
			if at := a.events[0].RecordedAt; at.Before(released) {
				t.Errorf("%s, %d events: the clock was read at %s, before the lock was had at %s", want, count, at, released)
			}
		}
	}
}

func sharedLocks(t *testing.T, tx pgx.Tx) (n int) {
	t.Helper()
	must(t, tx.QueryRow(t.Context(), `select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and pid = pg_backend_pid()`).Scan(&n))
	return n
}

// An append under way holds readers back; a position that was rolled back does not.
func TestRead_waits_for_just_the_appends_under_way(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 30*time.Second)
	tx, err := store.Pool().Begin(ctx)
	must(t, err)
	defer tx.Rollback(ctx)
	_, err = store.InTx(tx).Append(ctx, stream("slow"), es.NoStream, someEvents(1)...) // position 1
	must(t, err)
	_, err = store.Append(ctx, stream("quick"), es.NoStream, someEvents(1)...) // position 2
	must(t, err)

	if events, err := store.Read(ctx, 0, 10); err != nil || len(events) != 0 {
		t.Fatalf("read %v, %v before the slow append ended: want nothing", events, err)
	}
	status, err := store.Status(ctx)
	must(t, err)
	if len(status.Holders) != 1 || status.Holders[0].PID == 0 || status.Head != 2 || status.Settled != 0 {
		t.Errorf("status %+v does not show who holds the log back", status)
	}
	short := within(t, 50*time.Millisecond)
	if p, err := store.Settle(short, time.Time{}); err == nil {
		t.Errorf("Settle returned %d while an append was under way", p)
	}
	must(t, tx.Rollback(ctx))
	events, err := readAll(ctx, store, 0)
	must(t, err)
	if len(events) != 1 || events[0].Position != 2 {
		t.Errorf("got %v, want the event at position 2", events)
	}
}

// PREPARE TRANSACTION leaves no process id; a crash renumbers what was prepared.
func TestPrepared_transaction_holds_readers_through_a_crash(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL(), pgstoretest.MaxConns(30))
	ctx := within(t, 60*time.Second)
	tx, err := store.Pool().Begin(ctx)
	must(t, err)
	_, err = store.InTx(tx).Append(ctx, stream("slow"), es.NoStream, someEvents(1)...)
	must(t, err)
	_, err = store.Append(ctx, stream("quick"), es.NoStream, someEvents(1)...)
	must(t, err)
	nothing := func(when string) {
		t.Helper()
		if events, err := store.Read(ctx, 0, 10); err != nil || len(events) != 0 {
			t.Fatalf("%s: read %v, %v: want nothing", when, events, err)
		}
	}
	nothing("while it is open") // from here on the holder is known by name
	_, err = tx.Exec(ctx, `prepare transaction 'held'`)
	must(t, err)
	must(t, tx.Commit(ctx)) // ends pgx's view of it; PREPARE has ended the transaction
	nothing("after PREPARE")
	status, err := store.Status(ctx)
	must(t, err)
	if len(status.Holders) != 1 || status.Holders[0].Prepared != "held" {
		t.Errorf("status %+v does not name the prepared transaction", status)
	}
	server.Kill()
	server.Restart()
	store.Pool().Reset()
	nothing("after a crash")
	must(t, exec(ctx, store.Pool(), `commit prepared 'held'`))
	events, err := readAll(ctx, store, 0)
	must(t, err)
	if len(events) != 2 || events[0].Stream.ID != "slow" {
		t.Errorf("got %v, want both events in order", events)
	}
}

// On a standby the locks of appends are not visible.
func TestStandby_is_refused(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL(), pgstoretest.MaxConns(30))
	_, err := store.Append(t.Context(), stream("1"), es.NoStream, someEvents(1)...)
	must(t, err)
	var dir string
	must(t, store.Pool().QueryRow(t.Context(), `show data_directory`).Scan(&dir))
	server.Stop()
	signal := dir + "/standby.signal"
	must(t, os.WriteFile(signal, nil, 0o600))
	must(t, os.Chmod(signal, 0o666)) // the server's user may be another
	server.Restart()
	standby := pgstore.New(server.Pool())
	if _, err := standby.Settle(t.Context(), time.Time{}); err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("Settle on a standby: %v, want a refusal", err)
	}
	if _, err := standby.Read(t.Context(), 0, 10); err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("Read on a standby: %v, want a refusal", err)
	}
}

// A snapshot taken before the holders were listed could miss what they committed:
// the log is not read in a transaction of the caller's.
func TestNo_settle_inside_a_transaction(t *testing.T) {
	t.Parallel()
	store := open(t)
	tx, err := store.Pool().BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	must(t, err)
	defer tx.Rollback(t.Context())
	if _, err := store.InTx(tx).Settle(t.Context(), time.Time{}); err == nil {
		t.Error("Settle inside a transaction is not refused")
	}
	if _, ok := es.Store(store.InTx(tx)).(es.Log); ok {
		t.Error("a transaction can read the log: its snapshot may be too old")
	}
}

// An insert that goes past Append has no position.
func TestInsert_without_the_lock_is_refused(t *testing.T) {
	t.Parallel()
	store := open(t)
	err := exec(t.Context(), store.Pool(), `insert into asof.events (category, stream_id, version, event_id, type, schema_version, data, metadata, recorded_at)
		values ('a', '1', 1, gen_random_uuid(), 't', 1, '{}', '', now())`)
	if err == nil {
		t.Error("the table accepts an insert without the lock")
	}
}

// Holes that were settled once are not waited over again, not even by a process
// that starts while an append stays open.
func TestOld_holes_are_final(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 30*time.Second)
	for range 20 {
		tx, err := store.Pool().Begin(ctx)
		must(t, err)
		_, err = store.InTx(tx).Append(ctx, stream("rolled back"), es.NoStream, someEvents(1)...)
		must(t, err)
		must(t, tx.Rollback(ctx))
		_, err = store.Append(ctx, stream("kept"), es.Any, someEvents(1)...)
		must(t, err)
	}
	if events, err := readAll(ctx, store, 0); err != nil || len(events) != 20 {
		t.Fatalf("got %d events, %v", len(events), err)
	}
	tx, err := store.Pool().Begin(ctx) // stays open
	must(t, err)
	defer tx.Rollback(ctx)
	_, err = store.InTx(tx).Append(ctx, stream("open"), es.NoStream, someEvents(1)...)
	must(t, err)

	another := pgstore.New(store.Pool())
	events, err := another.Read(ctx, 0, 1000)
	must(t, err)
	if len(events) != 20 {
		t.Errorf("a new reader got %d of the 20 old events while an append is open", len(events))
	}
}

func TestSettle_time(t *testing.T) {
	t.Parallel()
	store := open(t)
	recorded, err := store.Append(t.Context(), stream("1"), es.NoStream, someEvents(1)...)
	must(t, err)
	if head, err := store.Settle(t.Context(), recorded[0].RecordedAt); err != nil || head != recorded[0].Position {
		t.Errorf("Settle at the event's own time: %d, %v", head, err)
	}
	if _, err := store.Settle(t.Context(), time.Now().Add(time.Hour)); !errors.Is(err, es.ErrNotSettled) {
		t.Errorf("Settle in the future: %v", err)
	}
}
