package aggregates

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the pause before a decision is made again: random, so that those who
// met once do not meet again, below a bound that grows from 2 ms to 100 ms.
type backoff struct{ bound time.Duration }

func newBackoff() *backoff { return &backoff{bound: 2 * time.Millisecond} }

func (b *backoff) sleep(ctx context.Context) error {
	timer := time.NewTimer(rand.N(b.bound))
	defer timer.Stop()
	b.bound = min(2*b.bound, 100*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
