package projections

import (
	"context"
	"errors"
	"sync"
	"time"
)

// newerEvery is how often a program that is older than what is live looks again.
const newerEvery = 5 * time.Second

// RunAll runs projectors until ctx ends, or until none is left. One that stops for good
// leaves the others running: it logs why, and its Status shows it. One whose program is
// older than what is live waits until it is not, as it may be after a rollback. RunAll
// returns what the projectors have stopped for.
func RunAll(ctx context.Context, list ...*Projector) error {
	askTogether(list)
	failures := make([]error, len(list))
	var running sync.WaitGroup
	for i, p := range list {
		running.Go(func() {
			if failures[i] = p.runOrWait(ctx); failures[i] != nil && len(list) > 1 {
				p.log.ErrorContext(ctx, "projector has stopped; the others go on", "error", failures[i])
			}
		})
	}
	running.Wait()
	return errors.Join(failures...)
}

// runOrWait is Run for a program that may be older than what is live.
func (p *Projector) runOrWait(ctx context.Context) error {
	for {
		err := p.Run(ctx)
		if !errors.Is(err, ErrNewerVersion) {
			return err
		}
		p.log.WarnContext(ctx, "projector waits", "error", err, "looks again in", newerEvery)
		if pause(ctx, newerEvery) != nil {
			return nil
		}
	}
}
