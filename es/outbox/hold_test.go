package outbox_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// holder holds up the first statement of a kind until it is let go, and nothing else:
// the process lives and its connection stands still.
type holder struct {
	t     testing.TB
	at    string
	taken atomic.Bool
	held  chan struct{} // closed when it holds one
	letGo chan struct{} // close it
	rows  chan int64    // then has how many rows the statement wrote; -1 when it failed
}

type heldKey struct{}

func newHolder(t testing.TB, at string) *holder {
	return &holder{t: t, at: at, held: make(chan struct{}), letGo: make(chan struct{}), rows: make(chan int64, 1)}
}

func (h *holder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !strings.Contains(data.SQL, h.at) || h.taken.Swap(true) {
		return ctx
	}
	close(h.held)
	select {
	case <-h.letGo:
	case <-h.t.Context().Done():
	}
	return context.WithValue(ctx, heldKey{}, true)
}

func (h *holder) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if ctx.Value(heldKey{}) == nil {
		return
	}
	if data.Err != nil {
		h.rows <- -1
		return
	}
	h.rows <- data.CommandTag.RowsAffected()
}

// wrote lets the statement go and returns how many rows it wrote.
func (h *holder) wrote(w *world) int64 {
	w.Helper()
	close(h.letGo)
	select {
	case n := <-h.rows:
		return n
	case <-time.After(30 * time.Second):
		w.Fatal("the statement was not run")
		return 0
	}
}

// breaker lets statements of a kind fail, or hang until their context ends, and counts
// them.
type breaker struct {
	at    string
	hang  bool
	count atomic.Int64
}

func (b *breaker) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !strings.Contains(data.SQL, b.at) {
		return ctx
	}
	b.count.Add(1)
	if b.hang {
		<-ctx.Done()
	}
	failed, cancel := context.WithCancel(ctx)
	cancel()
	return failed
}

func (*breaker) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// counter counts statements of a kind.
type counter struct {
	at    string
	count atomic.Int64
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, c.at) {
		c.count.Add(1)
	}
	return ctx
}

func (*counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (*counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (c *counter) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	if strings.Contains(data.SQL, c.at) {
		c.count.Add(1)
	}
}

func (*counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// failer lets those statements fail for which ask says so.
type failer struct{ ask func(sql string) bool }

func (f *failer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !f.ask(data.SQL) {
		return ctx
	}
	failed, cancel := context.WithCancel(ctx)
	cancel()
	return failed
}

func (*failer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// onePage lets a relay read up to the first page with events, and no further until it is
// let go.
type onePage struct {
	t     testing.TB
	reads atomic.Int64
	full  atomic.Bool
	letGo chan struct{}
}

func (*onePage) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (*onePage) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (o *onePage) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	if o.full.Load() {
		select {
		case <-o.letGo:
		case <-ctx.Done():
		case <-o.t.Context().Done():
		}
	}
	return ctx
}

func (o *onePage) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	if strings.Contains(data.SQL, reading) {
		o.reads.Add(1)
		if data.CommandTag.RowsAffected() > 0 {
			o.full.Store(true)
		}
	}
}

func (*onePage) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}
