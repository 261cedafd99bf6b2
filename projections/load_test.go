package projections_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
)

// load appends to many accounts until stopped, and returns the last position.
func (w *world) load(writers int) (stop func() es.Position) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	group, ctx := errgroup.WithContext(ctx)
	var last atomic.Int64
	for n := range writers {
		group.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				data, err := w.codec.Encode(w.Context(), es.StreamID{}, Deposited{Cents: int64(i)})
				if err != nil {
					return err
				}
				recorded, err := w.store.Append(context.WithoutCancel(ctx), w.stream(name(n*100+i%37)), es.Any, data)
				if err != nil {
					return err
				}
				for p := int64(recorded[0].Position); ; {
					if old := last.Load(); old >= p || last.CompareAndSwap(old, p) {
						break
					}
				}
			}
			return nil
		})
	}
	return func() es.Position {
		w.Helper()
		cancel()
		if err := group.Wait(); err != nil {
			w.Fatal(err)
		}
		return es.Position(last.Load())
	}
}

// watch reads a table all the time, with a prepared statement on a connection of its
// own, and fails when it is ever missing or the sum ever falls.
func (w *world) watch(sql string) (stop func() int) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	conn, err := pgx.ConnectConfig(ctx, w.pool.Config().ConnConfig)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := conn.Prepare(ctx, "watch", sql); err != nil {
		w.Fatal(err)
	}
	reads := 0
	var failure error
	var wg sync.WaitGroup
	wg.Go(func() {
		var last int64
		for ctx.Err() == nil {
			var sum int64
			err := conn.QueryRow(context.WithoutCancel(ctx), "watch").Scan(&sum)
			if err == nil && sum < last {
				err = errors.New("the read model went back")
			}
			if err != nil {
				failure = err
				return
			}
			last = sum
			reads++
		}
	})
	return func() int {
		w.Helper()
		cancel()
		wg.Wait()
		conn.Close(context.WithoutCancel(ctx))
		if failure != nil {
			w.Fatalf("reader: %v", failure)
		}
		return reads
	}
}
