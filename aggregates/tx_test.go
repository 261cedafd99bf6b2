package aggregates_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

func inTx(ctx context.Context, pool *pgxpool.Pool, f func(*pgstore.Tx) error, store *pgstore.Store) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return f(store.InTx(tx)) })
}

// Two aggregates and a table of the caller's change together or not at all.
func TestInTx_changes_all_or_nothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := pgstoretest.New(t, pgstoretest.Configure(func(c *pgxpool.Config) { // each deadlock takes as long
		c.ConnConfig.RuntimeParams["deadlock_timeout"] = "20ms"
	}))
	pool := store.Pool()
	accounts := aggregates.New(store, decider)
	given(t, store, "ann", Opened{"ann"}, Deposited{100})
	given(t, store, "bob", Opened{"bob"}, Deposited{100})
	_, err := pool.Exec(ctx, `create table transfers (cents bigint not null)`)
	must(t, err)

	transfer := func(from, to string, cents int64) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			accounts := accounts.InTx(store.InTx(tx))
			if _, err := tx.Exec(ctx, `insert into transfers values ($1)`, cents); err != nil {
				return err
			}
			if _, err := accounts.Decide(ctx, to, deposit(cents)); err != nil {
				return err
			}
			_, err := accounts.Decide(ctx, from, withdraw(cents))
			return err
		})
	}
	must(t, transfer("ann", "bob", 60))
	if err := transfer("ann", "bob", 60); !errors.Is(err, errInsufficientFunds) {
		t.Errorf("got %v", err)
	}
	sum := func() (ann, bob, transfers int64) {
		a, err := accounts.Load(ctx, "ann")
		must(t, err)
		b, err := accounts.Load(ctx, "bob")
		must(t, err)
		must(t, pool.QueryRow(ctx, `select count(*) from transfers`).Scan(&transfers))
		return a.Value.Balance, b.Value.Balance, transfers
	}
	if a, b, n := sum(); a != 40 || b != 160 || n != 1 {
		t.Fatalf("balances %d and %d after %d transfers", a, b, n)
	}

	// Against each other: conflicts and deadlocks come back to be run again.
	var again atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			from, to := "ann", "bob"
			if i%2 == 1 {
				from, to = to, from
			}
			for range 10 {
				err := transfer(from, to, 1)
				for errors.Is(err, es.ErrConflict) || errors.Is(err, es.ErrRetry) {
					again.Add(1)
					err = transfer(from, to, 1)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if a, b, n := sum(); a != 40 || b != 160 || n != 41 {
		t.Errorf("balances %d and %d after %d transfers, %d of them run again", a, b, n, again.Load())
	}
}
