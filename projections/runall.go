package projections

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/source"
)

// newerEvery is how often a program that is older than what is live looks again.
const newerEvery = 5 * time.Second

// RunAll runs projectors until ctx ends, or until none is left. One that stops for good
// leaves the others running: it logs why, and its Status shows it. One whose program is
// older than what is live waits until it is not, as it may be after a rollback. RunAll
// returns what the projectors have stopped for.
func RunAll(ctx context.Context, list ...*Projector) error {
	var feeds []*source.Feed
	for _, p := range list {
		if p.invalid == nil {
			feeds = append(feeds, p.feed)
		}
	}
	source.AskTogether(feeds)
	failures := make([]error, len(list))
	var running sync.WaitGroup
	for i, p := range list {
		running.Go(func() {
			if failures[i] = p.runOrWait(ctx); failures[i] != nil && len(list) > 1 {
				p.apply.Logger.ErrorContext(ctx, "projector has stopped; the others go on", "error", failures[i])
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
		if !errors.Is(err, fault.ErrNewerVersion) {
			return err
		}
		p.apply.Logger.WarnContext(ctx, "projector waits", "error", err, "looks again in", newerEvery)
		if wait.For(ctx, newerEvery) != nil {
			return nil
		}
	}
}
