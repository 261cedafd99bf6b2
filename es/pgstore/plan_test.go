package pgstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// A connection that has made its plans for a small log keeps them, and they must be
// good for a large one: they read the table by its indexes.
func TestPlans_of_a_small_log_are_good_for_a_large_one(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t, pgstoretest.MaxConns(1))
	ctx := t.Context()
	tx, err := store.Pool().Begin(ctx)
	must(t, err)
	defer tx.Rollback(context.WithoutCancel(ctx))
	for i := range 100 { // after five, Postgres may keep a plan
		id := fmt.Sprintf("s-%d", i)
		_, err := store.InTx(tx).Append(ctx, stream(id), es.NoStream, someEvents(1)...)
		must(t, err)
		_, err = store.InTx(tx).Append(ctx, stream(id), es.Exactly(1), someEvents(1)...)
		must(t, err)
		_, err = store.InTx(tx).Append(ctx, stream(id), es.Any, someEvents(2)...)
		must(t, err)
		for _, err := range store.InTx(tx).ReadStream(ctx, stream(id), 1) {
			must(t, err)
		}
	}
	var scans int
	must(t, tx.QueryRow(ctx, `select seq_scan from pg_stat_xact_user_tables where relid = 'asof.events'::regclass`).Scan(&scans))
	if scans != 0 {
		t.Errorf("the whole table was read %d times", scans)
	}
}

// So must be those that read the log.
func TestPlans_that_read_the_log_are_good_for_a_large_one(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t, pgstoretest.MaxConns(1))
	ctx := t.Context()
	seqScans := func() (n int) {
		t.Helper()
		must(t, store.Pool().QueryRow(ctx, `select seq_scan from pg_stat_user_tables, (select pg_stat_force_next_flush()) f where relid = 'asof.events'::regclass`).Scan(&n))
		must(t, store.Pool().QueryRow(ctx, `select seq_scan from pg_stat_user_tables where relid = 'asof.events'::regclass`).Scan(&n))
		return n
	}
	var after, last es.Checkpoint
	before := 0
	for i := range 60 {
		if i == 20 { // plans that are made for each call may read a table of a page or two
			before = seqScans()
		}
		recorded, err := store.Append(ctx, stream(fmt.Sprint(i)), es.NoStream, someEvents(10)...)
		must(t, err)
		for _, e := range recorded {
			last = es.Checkpoint{Position: e.Position, EventID: e.ID}
		}
		_, err = store.ReadAfter(ctx, after, 1000)
		must(t, err)
		tx, err := store.Pool().Begin(ctx)
		must(t, err)
		_, err = store.InTx(tx).Page(ctx, after.Position, last.Position, 1000)
		must(t, err)
		must(t, tx.Commit(ctx))
		must(t, store.Stream(ctx, after, last.Position, 1000, func(*pgstore.Page) error { return nil }))
		_, err = store.Settle(ctx, time.Time{})
		must(t, err)
		_, err = store.Beyond(ctx, after.Position, 1000)
		must(t, err)
		after = last
	}
	if n := seqScans() - before; n != 0 {
		t.Errorf("the whole table was read %d times", n)
	}
}

// What makes Postgres choose those plans is that it has no statistics of a table that
// is small.
func TestSmall_tables_have_no_statistics(t *testing.T) {
	t.Parallel()
	rows, err := pgstoretest.New(t).Pool().Query(t.Context(), `
		select c.relname || ' ' || k from pg_class c, unnest(array['analyze', 'vacuum', 'vacuum_insert']) k
		where c.oid in ('asof.events'::regclass, 'asof.dedup'::regclass)
		  and not coalesce('autovacuum_' || k || '_threshold=10000' = any(c.reloptions), false)`)
	must(t, err)
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if len(missing) > 0 {
		t.Errorf("no threshold: %s", strings.Join(missing, ", "))
	}
}
