package pgstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// asking is a call of Settle that the server has answered in part: it waits for the
// table, which the caller has locked.
type asking struct {
	head es.Position
	err  error
}

// ask locks the table, lets Settle ask for a moment until it meets the lock, lets
// another transaction begin an append without the table (lock, clock, position), lets
// the first append and commit, and returns the other, still open, with the clock that
// it has read.
func ask(ctx context.Context, t *testing.T, store *pgstore.Store, moment func() time.Time) (slow pgx.Tx, position int64, clock time.Time, answer chan asking) {
	t.Helper()
	config := store.Pool().Config()
	config.MaxConns = 1
	config.ConnConfig.RuntimeParams["application_name"] = "asker"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	t.Cleanup(pool.Close)
	asker := pgstore.New(pool)
	_, err = asker.Settle(ctx, time.Time{}) // prepares its statements, for which it would wait too
	must(t, err)
	locker, err := store.Pool().Begin(ctx)
	must(t, err)
	t.Cleanup(func() { _ = locker.Rollback(context.WithoutCancel(ctx)) })
	_, err = locker.Exec(ctx, `lock table asof.events in access exclusive mode`)
	must(t, err)
	at := moment()
	answer = make(chan asking, 1)
	go func() {
		head, err := asker.Settle(ctx, at)
		answer <- asking{head, err}
	}()
	waitFor(t, store, `select exists (select from pg_locks where locktype = 'relation' and not granted and database = (select oid from pg_database where datname = current_database()))`)
	slow, err = store.Pool().Begin(ctx)
	must(t, err)
	t.Cleanup(func() { _ = slow.Rollback(context.WithoutCancel(ctx)) })
	must(t, slow.QueryRow(ctx, `select clock_timestamp(), nextval('asof.events_position') from (
		select pg_advisory_xact_lock_shared((1634955110::bigint << 32) | 'asof.events'::regclass::oid::bigint) offset 0) as lock`).Scan(&clock, &position))
	for now := clock; !at.IsZero() && !now.After(at); {
		must(t, locker.QueryRow(ctx, `select clock_timestamp()`).Scan(&now))
	}
	_, err = store.InTx(locker).Append(ctx, stream("quick"), es.NoStream, someEvents(1)...)
	must(t, err)
	must(t, locker.Commit(ctx))
	return slow, position, clock, answer
}

// The head is read before the holders: whoever draws a position below it holds the
// lock by then.
func TestSettle_reads_the_head_before_it_lists_the_holders(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	_, err := store.Append(ctx, stream("first"), es.NoStream, someEvents(1)...)
	must(t, err)
	slow, position, clock, answer := ask(ctx, t, store, func() time.Time { return time.Time{} })
	_, err = slow.Exec(ctx, `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, data, metadata, recorded_at)
		values ($1, 'test', 'slow', 1, gen_random_uuid(), 'test.happened', 1, '{}', '', $2)`, position, clock)
	must(t, err)
	// It must look for the holders again and again: wait for two such looks.
	looks := map[time.Time]bool{}
	for len(looks) < 3 {
		var look time.Time
		must(t, store.Pool().QueryRow(ctx, `select max(query_start) from pg_stat_activity where datname = current_database() and application_name = 'asker'`).Scan(&look))
		looks[look] = true
		select {
		case a := <-answer:
			t.Fatalf("Settle returned %d, %v while position %d was being written", a.head, a.err, position)
		default:
		}
	}
	must(t, slow.Commit(ctx))
	if a := <-answer; a.err != nil || int64(a.head) <= position {
		t.Errorf("Settle returned %d, %v, want more than %d", a.head, a.err, position)
	}
}

// The moment is raised before the holders are listed: whoever records before it holds
// the lock by then.
func TestSettle_raises_the_moment_before_it_lists_the_holders(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	_, err := store.Append(ctx, stream("first"), es.NoStream, someEvents(1)...)
	must(t, err)
	raising, err := store.Pool().Begin(ctx) // holds up whoever raises the moment
	must(t, err)
	defer raising.Rollback(context.WithoutCancel(ctx))
	_, err = raising.Exec(ctx, `select pg_advisory_xact_lock((1634955111::bigint << 32) | 'asof.events'::regclass::oid::bigint)`)
	must(t, err)
	var at, now time.Time
	must(t, raising.QueryRow(ctx, `select clock_timestamp() + interval '2 seconds'`).Scan(&at))
	answer := make(chan asking, 1)
	go func() {
		head, err := store.Settle(ctx, at)
		answer <- asking{head, err}
	}()
	waitFor(t, store, `select exists (select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database()))`)
	slow, err := store.Pool().Begin(ctx)
	must(t, err)
	defer slow.Rollback(context.WithoutCancel(ctx))
	recorded, err := store.InTx(slow).Append(ctx, stream("slow"), es.NoStream, someEvents(1)...)
	must(t, err)
	if recorded[0].RecordedAt.After(at) {
		t.Fatal("the machine was too slow: the append's clock is past the moment")
	}
	for !now.After(at) {
		must(t, raising.QueryRow(ctx, `select clock_timestamp()`).Scan(&now))
	}
	must(t, raising.Commit(ctx))
	select {
	case a := <-answer:
		t.Fatalf("Settle at %s returned %d, %v while an event of %s was being written", at, a.head, a.err, recorded[0].RecordedAt)
	case <-time.After(300 * time.Millisecond):
	}
	must(t, slow.Commit(ctx))
	if a := <-answer; a.err != nil || a.head < recorded[0].Position {
		t.Errorf("Settle at %s returned %d, %v, and the event of %s is at %d", at, a.head, a.err, recorded[0].RecordedAt, recorded[0].Position)
	}
}
