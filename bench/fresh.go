package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

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
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, manyIdle)
	for n := range manyIdle {
		def := accounts(1)
		if n > 0 {
			def.Name = fmt.Sprintf("accounts%d", n)
		}
		p := projections.New(store, def)
		if err := p.Rebuild(ctx); err != nil {
			return err
		}
		go func() { ended <- p.Run(running) }()
	}
	if err := idle(ctx, store.Pool(), s, r); err != nil {
		return err
	}
	if err := fresh(ctx, store, s, r); err != nil {
		return err
	}
	stop()
	for range manyIdle {
		err = errors.Join(err, <-ended)
	}
	return err
}

const transactionsSQL = `select xact_commit from pg_stat_database where datname = current_database()`

func idle(ctx context.Context, pool *pgxpool.Pool, s settings, r *report) error {
	var before, after int64
	took := 2 * s.round
	if err := pool.QueryRow(ctx, transactionsSQL).Scan(&before); err != nil {
		return err
	}
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := pool.QueryRow(ctx, transactionsSQL).Scan(&after); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.out, "%-30s %.0f transactions a second\n", fmt.Sprintf("idle, %d projections", manyIdle), float64(after-before)/took.Seconds())
	return err
}

// fresh appends at a steady rate, and looks for the row of some of the events.
func fresh(ctx context.Context, store *pgstore.Store, s settings, r *report) error {
	var lags []float64
	began, codec := time.Now(), es.JSON(deposited{})
	for n := range max(2*freshEvery, int(4*s.round.Seconds()*freshRate)) {
		if wait := time.Until(began.Add(time.Duration(n) * time.Second / freshRate)); wait > 0 {
			time.Sleep(wait)
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
			time.Sleep(300 * time.Microsecond)
		}
	}
	return time.Since(began), nil
}
