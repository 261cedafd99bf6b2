package pgstore

import (
	"context"
	"time"
)

// backoff is the pause between two looks at the locks: from 0.5 ms, doubled to
// 20 ms, as most appends take about a millisecond.
type backoff struct{ pause time.Duration }

func newBackoff() *backoff { return &backoff{pause: 500 * time.Microsecond} }

func (b *backoff) sleep(ctx context.Context) error {
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	b.pause = min(2*b.pause, 20*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
