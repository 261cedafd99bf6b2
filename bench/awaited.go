package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The rows that are awaited are looked for every half millisecond, and more seldom when they
// take long, since a look at many takes from the database what is measured: every lookShare-th
// of what the oldest has waited.
const (
	lookOften  = 500 * time.Microsecond
	lookSeldom = 20 * time.Millisecond
	lookShare  = 10
)

// awaited are the rows that a read model will have soon.
type awaited struct {
	from  time.Time // what was added before is not counted
	mu    sync.Mutex
	since map[string]time.Time // by key: when the append was acknowledged
	took  []float64            // milliseconds until the row was seen
	ended bool                 // no more will be added
}

// newAwaited counts what comes after the warming up.
func newAwaited(warm time.Duration) *awaited {
	return &awaited{from: time.Now().Add(warm), since: map[string]time.Time{}}
}

// print says how long it took.
func (a *awaited) print(name string, d time.Duration, r *report) error {
	_, err := fmt.Fprintf(r.out, "%-30s p50 %7.1f ms   p99 %7.1f ms   of %d events, %.0f/s\n", name,
		quantile(a.took, 0.5), quantile(a.took, 0.99), len(a.took), float64(len(a.took))/d.Seconds())
	return err
}

func (a *awaited) add(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since[key] = time.Now()
}

func (a *awaited) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
}

func (a *awaited) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

func (a *awaited) seen(keys []string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		if since, ok := a.since[key]; ok && !since.Before(a.from) {
			a.took = append(a.took, float64(at.Sub(since))/float64(time.Millisecond))
		}
		delete(a.since, key)
	}
}

// keys returns what is awaited, and whether nothing will be any more.
func (a *awaited) keys() (keys []string, over bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Keys(a.since)), a.ended && len(a.since) == 0
}

// lookAfter is how long to rest before the next look.
func (a *awaited) lookAfter() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	oldest := now
	for _, since := range a.since {
		if since.Before(oldest) {
			oldest = since
		}
	}
	return min(max(lookOften, now.Sub(oldest)/lookShare), lookSeldom)
}

// Bind: $1 keys.
const visibleSQL = `select id from sales.sales where id = any($1)`

// watch looks for all rows that are awaited at once, on a connection of its own, until
// all were seen.
func (l *sales) watch(ctx context.Context, a *awaited) error {
	ctx, cancel := context.WithTimeout(ctx, 2*startsWithin)
	defer cancel()
	conn, err := l.store.Pool().Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	for {
		keys, over := a.keys()
		if over {
			return nil
		}
		if len(keys) > 0 {
			rows, err := conn.Query(ctx, visibleSQL, keys)
			if err != nil {
				return err
			}
			visible, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			a.seen(visible, time.Now())
		}
		if err := pause(ctx, a.lookAfter()); err != nil {
			return fmt.Errorf("%d rows are not visible: %w", len(keys), err)
		}
	}
}
