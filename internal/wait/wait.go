// Package wait is how loops wait: for a time, for longer and longer, or a little
// beyond the end of their context.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits for d, or returns the cause when ctx ends first.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Backoff is a pause that doubles from First up to Last. Its zero pause is First; it
// belongs to one goroutine.
type Backoff struct {
	First, Last time.Duration
	// Random waits for a random part of the pause, so that those who met once do not
	// meet again.
	Random bool

	next time.Duration
}

// Wait pauses, or returns the cause when ctx ends first.
func (b *Backoff) Wait(ctx context.Context) error { return For(ctx, b.Next()) }

// Next returns the next pause, for who tells about it first.
func (b *Backoff) Next() time.Duration {
	d := max(b.next, b.First)
	b.next = min(2*d, b.Last)
	if b.Random {
		return rand.N(d)
	}
	return d
}

// Reset begins again with First, after what failed has succeeded.
func (b *Backoff) Reset() { b.next = 0 }

// Beyond returns a context that ends a grace after ctx, for work that should be
// finished once it was begun.
func Beyond(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = For(longer, grace)
		cancel()
	})
	return longer, func() {
		stop()
		cancel()
	}
}
