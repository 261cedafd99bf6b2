package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// A conflict in a read committed transaction is an answer, not an accident.
func TestConflict_leaves_the_transaction_usable(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := t.Context()
	must(t, exec(ctx, store.Pool(), `create table notes (n int)`))
	_, err := store.Append(ctx, stream("1"), es.NoStream, someEvents(2)...)
	must(t, err)
	tx, err := store.Pool().Begin(ctx)
	must(t, err)
	defer tx.Rollback(context.WithoutCancel(ctx))
	_, err = tx.Exec(ctx, `insert into notes values (1)`)
	must(t, err)
	for _, n := range []int{1, 3} {
		_, err = store.InTx(tx).Append(ctx, stream("1"), es.Exactly(1), someEvents(n)...)
		var conflict *es.ConflictError
		if !errors.As(err, &conflict) || conflict.Got != 2 {
			t.Fatalf("got %v, want a conflict with version 2", err)
		}
	}
	// One that is found only when another transaction commits, too.
	rival, err := store.Pool().Begin(ctx)
	must(t, err)
	defer rival.Rollback(context.WithoutCancel(ctx))
	_, err = store.InTx(rival).Append(ctx, stream("1"), es.Exactly(2), someEvents(1)...)
	must(t, err)
	answer := make(chan error, 1)
	go func() {
		_, err := store.InTx(tx).Append(ctx, stream("1"), es.Exactly(2), someEvents(2)...)
		answer <- err
	}()
	waitFor(t, store, `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%events%')`)
	must(t, rival.Commit(ctx))
	if err := <-answer; !errors.Is(err, es.ErrConflict) || errors.Is(err, es.ErrRetry) {
		t.Fatalf("got %v, want a conflict", err)
	}
	recorded, err := store.InTx(tx).Append(ctx, stream("1"), es.Exactly(3), someEvents(1)...)
	must(t, err)
	must(t, tx.Commit(ctx))
	if recorded[0].Version != 4 {
		t.Errorf("got version %d, want 4", recorded[0].Version)
	}
	var notes int
	must(t, store.Pool().QueryRow(ctx, `select count(*) from notes`).Scan(&notes))
	if notes != 1 {
		t.Errorf("%d notes, want the one of the transaction", notes)
	}
}

func TestRollback_leaves_nothing(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := t.Context()
	events := someEvents(3)
	tx, err := store.Pool().Begin(ctx)
	must(t, err)
	first, err := store.InTx(tx).Append(ctx, stream("1"), es.NoStream, events...)
	must(t, err)
	n := 0
	for _, err := range store.InTx(tx).ReadStream(ctx, stream("1"), 1) { // sees its own
		must(t, err)
		n++
	}
	must(t, tx.Rollback(ctx))
	for _, err := range store.ReadStream(ctx, stream("1"), 1) {
		if n != 3 || !errors.Is(err, es.ErrStreamNotFound) {
			t.Errorf("in the transaction %d events, after its rollback: %v", n, err)
		}
	}
	again, err := store.Append(ctx, stream("1"), es.NoStream, events...) // the ids are free again
	must(t, err)
	if all, err := readAll(ctx, store, 0); err != nil || len(all) != 3 || all[0].Position != again[0].Position || all[0].Position <= first[2].Position {
		t.Errorf("the log has %v, %v: want just the second append, at new positions", all, err)
	}
}

// Two streams in opposite order: the database ends one, which can be run again.
func TestDeadlock_is_retryable(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	begin := func(id string) pgx.Tx {
		tx, err := store.Pool().Begin(ctx)
		must(t, err)
		t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(ctx)) })
		_, err = store.InTx(tx).Append(ctx, stream(id), es.NoStream, someEvents(1)...)
		must(t, err)
		return tx
	}
	one, two := begin("A"), begin("B")
	answers := make(chan error, 2)
	cross := func(tx pgx.Tx, id string) {
		_, err := store.InTx(tx).Append(ctx, stream(id), es.NoStream, someEvents(1)...)
		if errors.Is(err, es.ErrRetry) {
			err = errors.Join(err, tx.Rollback(ctx))
		} else {
			err = errors.Join(err, tx.Commit(ctx))
		}
		answers <- err
	}
	go cross(one, "B")
	go cross(two, "A")
	var retries, conflicts int
	for range 2 {
		// The one that goes on may do so before or after the other's rollback.
		switch err := <-answers; {
		case errors.Is(err, es.ErrRetry):
			retries++
		case err == nil:
		case errors.Is(err, es.ErrConflict):
			conflicts++
		default:
			t.Errorf("got %v, want es.ErrRetry", err)
		}
	}
	if retries != 1 || conflicts != 0 {
		t.Errorf("%d were told to retry, %d had a conflict: want one to retry and one to win", retries, conflicts)
	}
	if all, err := readAll(ctx, store, 0); err != nil || len(all) != 2 {
		t.Errorf("the log has %d events, %v: want the two of the winner", len(all), err)
	}
}

// Under repeatable read the snapshot is older than the rival: a conflict that ends
// the transaction.
func TestRepeatable_read_conflict(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		for _, n := range []int{1, 3} {
			store := open(t)
			ctx := t.Context()
			tx, err := store.Pool().BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
			must(t, err)
			_, err = tx.Exec(ctx, `select 1 from asof.events`) // takes the snapshot
			must(t, err)
			_, err = store.Append(ctx, stream("1"), es.NoStream, someEvents(1)...)
			must(t, err)
			_, err = store.InTx(tx).Append(ctx, stream("1"), es.NoStream, someEvents(n)...)
			if !errors.Is(err, es.ErrConflict) || !errors.Is(err, es.ErrRetry) {
				t.Errorf("%s, %d events: got %v, want a conflict that says to retry", level, n, err)
			}
			must(t, tx.Rollback(ctx))
		}
	}
}

// Any in a transaction waits for rivals and then follows them.
func TestAny_in_transactions(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, 60*time.Second)
	done := make(chan error)
	for w := range 8 {
		go func() {
			for n := range 10 {
				err := pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
					_, err := store.InTx(tx).Append(ctx, stream("shared"), es.Any, someEvents(1+n%2)...)
					return err
				})
				if err != nil {
					done <- fmt.Errorf("writer %d: %w", w, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	all, err := readAll(ctx, store, 0)
	must(t, err)
	for i, e := range all {
		if e.Version != es.Version(i+1) {
			t.Fatalf("version %d stands at place %d of the log", e.Version, i+1)
		}
	}
	if len(all) != 8*15 {
		t.Errorf("got %d events, want %d", len(all), 8*15)
	}
}

// waitFor polls a query until it says true.
func waitFor(t *testing.T, store *pgstore.Store, sql string) {
	t.Helper()
	ctx := within(t, 60*time.Second)
	for ok := false; !ok; {
		if err := store.Pool().QueryRow(ctx, sql).Scan(&ok); err != nil {
			t.Fatalf("wait for %s: %v", sql, err)
		}
	}
}
