package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asof-dev/asof/es"
)

// source is where a live build gets its events from.
type source interface {
	// check refuses a definition that the source cannot serve.
	check(p *Projector) error
	// follow applies events until ctx ends, the build is fenced or something fails.
	follow(ctx context.Context, p *Projector, b build) error
	kind() string
	String() string
}

// logSource reads the store's log.
type logSource struct{}

func (logSource) check(*Projector) error { return nil }
func (logSource) kind() string           { return kindLog }
func (logSource) String() string         { return "log" }

// follow reads page after page. When there is nothing to read it asks now and then
// whether the build is still the live one.
func (logSource) follow(ctx context.Context, p *Projector, b build) error {
	checked := time.Now()
	for {
		next, n, err := p.pull(ctx, b, p.batch)
		if err != nil {
			return err
		}
		b = next
		if n > 0 {
			continue
		}
		if time.Since(checked) > time.Second {
			if err := p.stillLive(ctx, b); err != nil {
				return err
			}
			if err := p.store.KeepMoments(ctx); final(err) {
				return err
			} else if err != nil { // as while a synchronous standby is away
				p.log.DebugContext(ctx, "the present was not made final", "error", err)
			}
			checked = time.Now()
		}
		if err := pause(ctx, p.poll); err != nil {
			return err
		}
	}
}

// pull applies the next page of the log to the live build.
func (p *Projector) pull(ctx context.Context, b build, limit int) (build, int, error) {
	b, err := p.inLife(ctx, b)
	if err != nil {
		return b, 0, err
	}
	events, err := p.store.ReadAfter(ctx, p.checkpoint(b), limit)
	if errors.Is(err, es.ErrRestored) && p.beside() && p.putBack(ctx, b) {
		return b, 0, fmt.Errorf("%w: the database was put back: %w", errFenced, err)
	}
	if err == nil && len(events) == 0 {
		err = p.clearFailure(ctx, b)
	}
	if err != nil || len(events) == 0 {
		return b, 0, err
	}
	b, err = p.commitLive(ctx, b, &work{events: events, after: b.Position, position: events[len(events)-1].Position})
	return b, len(events), err
}

// putBack reports a build that was put back with its log: it is right to go on from
// where it is now.
func (p *Projector) putBack(ctx context.Context, b build) bool {
	now, err := p.live(ctx)
	return err == nil && now.ID == b.ID && now.Position < b.Position
}

// commitLive is commit for the live build. In this process batches wait for their
// turn here, not in the database with a connection each; and a batch that has begun
// is finished when ctx ends.
func (p *Projector) commitLive(ctx context.Context, b build, w *work) (build, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return b, err
	}
	ctx, stop := lasting(ctx, 5*time.Second)
	defer stop()
	return p.commit(ctx, b, w)
}

// lasting returns a context that ends a while after ctx.
func lasting(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// stillLive gives errFenced when another build is live.
func (p *Projector) stillLive(ctx context.Context, b build) error {
	now, err := p.live(ctx)
	if err == nil && now.ID != b.ID {
		err = errFenced
	}
	return err
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
