package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// Bind: none.
const commitsSQL = `select xact_commit from pg_stat_database where datname = current_database()`

// idle prints how many transactions a second are committed in a database whose only
// client is a process with n projections that have caught up.
func idle(ctx context.Context, w *world, s settings, r *report, n int) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	stop, err := l.startMany(ctx, n)
	if err == nil {
		var rate float64
		if rate, err = l.commits(ctx, s.fresh); err == nil {
			_, err = fmt.Fprintf(r.out, "%-30s %7.1f transactions/s\n", fmt.Sprintf("idle, projections: %d", n), rate)
		}
	}
	return errors.Join(err, stop())
}

// startMany runs projections of one store, and returns when they are live.
func (l *sales) startMany(ctx context.Context, n int) (stop func() error, err error) {
	store := pgstore.New(l.store.Pool())
	var stops []func() error
	stop = func() error {
		var errs []error
		for _, stop := range stops {
			errs = append(errs, stop())
		}
		return errors.Join(errs...)
	}
	for i := range n {
		p := projections.New(store, l.fold(fmt.Sprintf("sales_%d", i), 1), projections.WithLogger(slog.New(slog.DiscardHandler)))
		running, end := start(ctx, p)
		stops = append(stops, end)
		if err := p.WaitFor(running, 1); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// statsLag is how long a connection may keep to itself what it has done.
const statsLag = time.Second

func (l *sales) commits(ctx context.Context, d time.Duration) (float64, error) {
	var before, after int64
	if err := pause(ctx, min(2*statsLag, d)); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := l.store.Pool().QueryRow(ctx, commitsSQL).Scan(&before); err != nil {
		return 0, err
	}
	if err := pause(ctx, d); err != nil {
		return 0, err
	}
	err := l.store.Pool().QueryRow(ctx, commitsSQL).Scan(&after)
	return float64(after-before) / time.Since(began).Seconds(), err
}
