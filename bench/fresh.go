package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

const (
	freshRate  = 1000 // appends a second
	freshEvery = 25   // appends between two that are looked for
	manyIdle   = 10   // projections of an idle process
)

// benchFresh measures how long after an append its row is seen, at a thousand appends a
// second, and what a process with ten projections asks of the database when nothing
// happens.
func benchFresh(ctx context.Context, w *world, s settings, r *report) error {
	store, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	stop, err := followMany(ctx, store, manyIdle)
	if err != nil {
		return err
	}
	if err := errors.Join(idle(ctx, store.Pool(), s, r), stop()); err != nil {
		return err
	}
	if stop, err = followMany(ctx, store, 1); err != nil {
		return err
	}
	return errors.Join(fresh(ctx, store, s, r), stop())
}

// followMany runs projectors until stop is called.
func followMany(ctx context.Context, store *pgstore.Store, many int) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	group, running := errgroup.WithContext(ctx)
	stop = func() error {
		cancel()
		return group.Wait()
	}
	for n := range many {
		def := accounts(1)
		if n > 0 {
			def.Name = fmt.Sprintf("accounts%d", n)
		}
		p := projections.New(store, def, quiet())
		if err := p.Rebuild(ctx); err != nil {
			return nil, errors.Join(err, stop())
		}
		group.Go(func() error { return p.Run(running) })
	}
	return stop, nil
}

const transactionsSQL = `select xact_commit from pg_stat_database where datname = current_database()`

// idle counts transactions, after what the start has asked is in the statistics.
func idle(ctx context.Context, pool *pgxpool.Pool, s settings, r *report) error {
	var counts [2]int64
	took := 4 * s.round
	for i := range counts {
		if err := after(ctx, took); err != nil {
			return err
		}
		if err := pool.QueryRow(ctx, transactionsSQL).Scan(&counts[i]); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(r.out, "%-30s %.1f transactions a second\n", fmt.Sprintf("idle, %d projections", manyIdle), float64(counts[1]-counts[0])/took.Seconds())
	return err
}

// fresh appends at a steady rate, and looks for the row of some of the events.
func fresh(ctx context.Context, store *pgstore.Store, s settings, r *report) error {
	var lags []float64
	began, codec := time.Now(), es.JSON(deposited{})
	for n := range max(2*freshEvery, int(4*s.round.Seconds()*freshRate)) {
		if err := after(ctx, time.Until(began.Add(time.Duration(n)*time.Second/freshRate))); err != nil {
			return err
		}
		account := fmt.Sprintf("account-%d", n)
		e, err := codec.Encode(deposited{Account: account, Cents: 1, At: began})
		if err != nil {
			return err
		}
		if _, err := store.Append(ctx, es.StreamID{Category: "account", ID: account}, es.NoStream, e); err != nil {
			return err
		}
		if n%freshEvery > 0 {
			continue
		}
		lag, err := seen(ctx, store.Pool(), account)
		if err != nil {
			return err
		}
		lags = append(lags, lag.Seconds()*1000)
		began = began.Add(lag) // others would come all at once after it
	}
	_, err := fmt.Fprintf(r.out, "%-30s p50 %.1f ms, p99 %.1f ms\n", "append to row, from the log", quantile(lags, 0.5), quantile(lags, 0.99))
	return err
}

// seen waits until a row is there.
func seen(ctx context.Context, pool *pgxpool.Pool, account string) (time.Duration, error) {
	began := time.Now()
	for there := false; !there; {
		if err := pool.QueryRow(ctx, `select exists (select from accounts.accounts where account = $1)`, account).Scan(&there); err != nil {
			return 0, err
		}
		if !there {
			if err := after(ctx, 300*time.Microsecond); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(began), nil
}

// after waits.
func after(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
