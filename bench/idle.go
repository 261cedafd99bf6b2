package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// idle prints how many transactions a second a process begins with n projections that have
// caught up.
func idle(ctx context.Context, w *world, s settings, r *report, n int) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	begun := &transactions{}
	config := l.store.Pool().Config()
	config.ConnConfig.Tracer = begun
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	stop, err := l.startMany(ctx, pgstore.New(pool), n)
	if err == nil {
		if err = pause(ctx, settles); err == nil {
			before, began := begun.n.Load(), time.Now()
			err = pause(ctx, s.fresh)
			rate := float64(begun.n.Load()-before) / time.Since(began).Seconds()
			_, _ = fmt.Fprintf(r.out, "%-30s %7.1f transactions/s\n", fmt.Sprintf("idle, projections: %d", n), rate)
		}
	}
	return errors.Join(err, stop())
}

// settles is how long projections may take until they have nothing to do.
const settles = 2 * time.Second

// startMany runs projections of one store, and returns when they are live.
func (l *sales) startMany(ctx context.Context, store *pgstore.Store, n int) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var list []*projections.Projector
	for i := range n {
		list = append(list, projections.New(store, l.fold(fmt.Sprintf("sales_%d", i), 1), projections.WithLogger(slog.New(slog.DiscardHandler))))
	}
	ended := make(chan error, 1)
	go func() {
		ended <- projections.RunAll(ctx, list...)
		cancel()
	}()
	stop = func() error { cancel(); return <-ended }
	for _, p := range list {
		if err := p.WaitFor(ctx, 1); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// transactions counts those that begin, each by what is sent outside of one. The database's
// own count comes late, connection by connection.
type transactions struct{ n atomic.Int64 }

func (t *transactions) count(conn *pgx.Conn) {
	const outside = 'I'
	if conn.PgConn().TxStatus() == outside {
		t.n.Add(1)
	}
}

// TraceQueryStart is called before each query.
func (t *transactions) TraceQueryStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	t.count(conn)
	return ctx
}

// TraceQueryEnd is called after each.
func (t *transactions) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart is called before each batch.
func (t *transactions) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	t.count(conn)
	return ctx
}

// TraceBatchQuery is called for each query of a batch.
func (t *transactions) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd is called after each batch.
func (t *transactions) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}
