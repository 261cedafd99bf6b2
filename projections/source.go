package projections

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

// follow applies page after page, and reads and decodes the next ones meanwhile. When
// there is nothing to read it asks now and then whether the build is still the live one.
func (logSource) follow(ctx context.Context, p *Projector, b build) error {
	b, err := p.inLife(ctx, b)
	if err != nil {
		return err
	}
	m, err := p.model(ctx, b)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	pages := make(chan *page, 1)
	var applied atomic.Int64 // position
	applied.Store(int64(b.Position))
	reader := b // as it was: the other goroutine moves b on
	group.Go(func() error {
		defer close(pages)
		at, err := p.readOn(ctx, p.checkpoint(reader), m, pages)
		reader.Position = es.Position(applied.Load())
		switch {
		case errors.Is(err, es.ErrRestored) && at > reader.Position: // what was read ahead may be lost: what was applied counts
			return fmt.Errorf("%w: looks at the log again: %w", errFenced, err)
		case errors.Is(err, es.ErrRestored) && p.beside():
			return p.maybePutBack(ctx, reader, err)
		}
		return err
	})
	group.Go(func() error {
		checked := time.Now()
		for pg := range pages {
			next, err := p.use(ctx, b, pg, &checked)
			if err != nil {
				return err
			}
			b = next
			applied.Store(int64(b.Position))
		}
		return ctx.Err()
	})
	return group.Wait()
}

// readOn gives page after page, and an empty one when there is nothing to read. It returns
// where it was.
func (p *Projector) readOn(ctx context.Context, at es.Checkpoint, m model, pages chan<- *page) (es.Position, error) {
	for {
		events, err := p.store.ReadAfter(ctx, at, p.batch)
		if err != nil {
			return at.Position, err
		}
		pg := &page{}
		if len(events) > 0 {
			pg = p.def.page(m, events)
			at.Position, at.EventID = pg.last().Position, pg.last().ID
		}
		select {
		case pages <- pg:
		case <-ctx.Done():
			return at.Position, ctx.Err()
		}
		if len(events) > 0 {
			continue
		}
		if err := p.quiet(ctx, at.Position, pages); err != nil {
			return at.Position, err
		}
	}
}

// A projector that has come to the end of the log sees to its build every idleEvery, and
// reads every idleReads of those though nobody has told it of an event, nor that the log is
// another.
const (
	idleEvery = time.Second
	idleReads = 60
)

// quiet waits until it is time to read again.
func (p *Projector) quiet(ctx context.Context, at es.Position, pages chan<- *page) error {
	for range idleReads {
		grown, err := p.store.Await(ctx, at, p.poll, idleEvery)
		if grown {
			return nil
		}
		if err != nil { // what it is, reading will tell
			return pause(ctx, p.poll)
		}
		select {
		case pages <- &page{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// liveEvery is how often a projector that has nothing to write asks whether its build is
// still the live one. What it writes to another is refused.
const liveEvery = 5 * time.Second

// use applies a page of the log, or sees to the build when there was nothing to read.
func (p *Projector) use(ctx context.Context, b build, pg *page, checked *time.Time) (build, error) {
	if len(pg.events) > 0 {
		return p.applyPage(ctx, b, pg.events, pg)
	}
	if err := p.clearFailure(ctx, b); err != nil {
		return b, err
	}
	if err := p.store.KeepMoments(ctx); final(err) {
		return b, err
	} else if err != nil { // as while a synchronous standby is away
		p.log.DebugContext(ctx, "the present was not made final", "error", err)
	}
	if time.Since(*checked) < liveEvery {
		return b, nil
	}
	*checked = time.Now()
	return b, p.stillLive(ctx, b)
}

// pull applies the next page of the log to the live build.
func (p *Projector) pull(ctx context.Context, b build, limit int) (build, int, error) {
	b, err := p.inLife(ctx, b)
	if err != nil {
		return b, 0, err
	}
	events, err := p.store.ReadAfter(ctx, p.checkpoint(b), limit)
	if errors.Is(err, es.ErrRestored) && p.beside() {
		return b, 0, p.maybePutBack(ctx, b, err)
	}
	if err == nil && len(events) == 0 {
		err = p.clearFailure(ctx, b)
	}
	if err != nil || len(events) == 0 {
		return b, 0, err
	}
	if b.Kind == kindLog {
		b, err = p.applyPage(ctx, b, events, nil)
	} else {
		b, err = p.commitLive(ctx, b, &work{events: events, after: b.Position, position: events[len(events)-1].Position})
	}
	return b, len(events), err
}

// maybePutBack returns errFenced for a build that was put back with its log: it is right
// to go on from where it is now. It returns why for any other.
func (p *Projector) maybePutBack(ctx context.Context, b build, why error) error {
	if p.putBack(ctx, b) {
		return fmt.Errorf("%w: the database was put back: %w", errFenced, why)
	}
	return why
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
	ctx, stop := lasting(ctx, batchGrace)
	defer stop()
	return p.commit(ctx, b, w)
}

// batchGrace is how long a batch that has begun may last after ctx has ended.
const batchGrace = 5 * time.Second

// lasting returns a context that ends a while after ctx.
func lasting(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// stillLive gives errFenced when another build is live, or none.
func (p *Projector) stillLive(ctx context.Context, b build) error {
	live, err := p.lives.Load().has(ctx, p.target, b)
	if err == nil && !live {
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
