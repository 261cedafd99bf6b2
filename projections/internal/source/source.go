package source

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/fold"
)

// Source is where a live build gets its events from.
type Source interface {
	// Check refuses a definition that the source cannot serve.
	Check(feed *Feed) error
	// Follow applies events until ctx ends, the build is fenced or something fails.
	Follow(ctx context.Context, feed *Feed, b books.Build) error
	Kind() string
	String() string
}

// Log reads the store's log.
type Log struct{}

// Check implements [Source].
func (Log) Check(*Feed) error { return nil }

// Kind implements [Source].
func (Log) Kind() string   { return books.KindLog }
func (Log) String() string { return "log" }

// Follow applies page after page, and reads and decodes the next ones meanwhile. When
// there is nothing to read it asks now and then whether the build is still the live one.
func (Log) Follow(ctx context.Context, feed *Feed, b books.Build) error {
	b, err := feed.Applier.InLife(ctx, b)
	if err != nil {
		return err
	}
	m, err := feed.Applier.Model(ctx, b)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	pages := make(chan *fold.Page, 1)
	var applied atomic.Int64 // position
	applied.Store(int64(b.Position))
	reader := b // as it was: the other goroutine moves b on
	group.Go(func() error {
		defer close(pages)
		at, err := feed.readOn(ctx, feed.Applier.Checkpoint(reader), m, pages)
		reader.Position = es.Position(applied.Load())
		switch {
		case errors.Is(err, es.ErrRestored) && at > reader.Position: // what was read ahead may be lost: what was applied counts
			return fmt.Errorf("%w: looks at the log again: %w", fault.ErrFenced, err)
		case errors.Is(err, es.ErrRestored) && feed.Applier.Beside():
			return feed.maybePutBack(ctx, reader, err)
		}
		return err
	})
	group.Go(func() error {
		checked := time.Now()
		for pg := range pages {
			next, err := feed.use(ctx, b, pg, &checked)
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
func (f *Feed) readOn(ctx context.Context, at es.Checkpoint, m fold.Model, pages chan<- *fold.Page) (es.Position, error) {
	for {
		events, err := f.Applier.Log.ReadAfter(ctx, at, f.Batch)
		if err != nil {
			return at.Position, err
		}
		pg := &fold.Page{}
		if len(events) > 0 {
			pg = f.Applier.Def.Page(ctx, m, events)
			at.Position, at.EventID = pg.Last().Position, pg.Last().ID
		}
		select {
		case pages <- pg:
		case <-ctx.Done():
			return at.Position, ctx.Err()
		}
		if len(events) > 0 {
			continue
		}
		if err := f.quiet(ctx, at.Position, pages); err != nil {
			return at.Position, err
		}
	}
}

// A projector that has come to the end of the log sees to its build every idleEvery, and
// reads every idleReads of those though nobody has told it of an event, nor that the log is
// another.
const (
	IdleEvery = time.Second
	idleReads = 60
)

// quiet waits until it is time to read again.
func (f *Feed) quiet(ctx context.Context, at es.Position, pages chan<- *fold.Page) error {
	for range idleReads {
		grown, err := f.Applier.Log.Await(ctx, at, f.Poll, IdleEvery)
		if grown {
			return nil
		}
		if err != nil { // what it is, reading will tell
			return wait.For(ctx, f.Poll)
		}
		select {
		case pages <- &fold.Page{}:
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
func (f *Feed) use(ctx context.Context, b books.Build, pg *fold.Page, checked *time.Time) (books.Build, error) {
	if len(pg.Events) > 0 {
		b, err := f.Applier.ApplyPage(ctx, b, pg.Events, pg)
		if err != nil || time.Since(time.Unix(0, f.moment.Load())) < IdleEvery {
			return b, err
		}
		return b, f.keepMoments(ctx) // a backlog may last
	}
	if err := f.clearFailure(ctx, b); err != nil {
		return b, err
	}
	if err := f.keepMoments(ctx); err != nil {
		return b, err
	}
	if time.Since(*checked) < liveEvery {
		return b, nil
	}
	*checked = time.Now()
	return b, f.stillLive(ctx, b)
}

// keepMoments makes the present final, for those who may only read.
func (f *Feed) keepMoments(ctx context.Context) error {
	f.moment.Store(time.Now().UnixNano())
	err := f.Applier.Log.KeepMoments(ctx)
	if err == nil || fault.Final(err) {
		return err
	}
	f.Applier.Logger.DebugContext(ctx, "the present was not made final", "error", err) // as while a synchronous standby is away
	return nil
}

// Pull applies the next page of the log to the live build.
func (f *Feed) Pull(ctx context.Context, b books.Build, limit int) (books.Build, int, error) {
	b, err := f.Applier.InLife(ctx, b)
	if err != nil {
		return b, 0, err
	}
	events, err := f.Applier.Log.ReadAfter(ctx, f.Applier.Checkpoint(b), limit)
	if errors.Is(err, es.ErrRestored) && f.Applier.Beside() {
		return b, 0, f.maybePutBack(ctx, b, err)
	}
	if err == nil {
		err = f.Applier.VerifyReach(ctx, b)
	}
	if err == nil && len(events) == 0 {
		err = f.clearFailure(ctx, b)
	}
	if err != nil || len(events) == 0 {
		return b, 0, err
	}
	if b.Kind == books.KindLog {
		b, err = f.Applier.ApplyPage(ctx, b, events, nil)
	} else {
		b, err = f.Applier.CommitLive(ctx, b, &apply.Work{Events: events, After: b.Position, Position: events[len(events)-1].Position})
	}
	return b, len(events), err
}

// maybePutBack returns errFenced for a build that was put back with its log: it is right
// to go on from where it is now. It returns why for any other.
func (f *Feed) maybePutBack(ctx context.Context, b books.Build, why error) error {
	if f.putBack(ctx, b) {
		return fmt.Errorf("%w: the database was put back: %w", fault.ErrFenced, why)
	}
	return why
}

// putBack reports a build that was put back with its log: it is right to go on from
// where it is now.
func (f *Feed) putBack(ctx context.Context, b books.Build) bool {
	now, err := f.Applier.Live(ctx)
	return err == nil && now.ID == b.ID && now.Position < b.Position
}

// stillLive gives errFenced when another build is live, or none.
func (f *Feed) stillLive(ctx context.Context, b books.Build) error {
	live, err := f.lives.Load().has(ctx, f.Applier.Books, b)
	if err == nil && !live {
		err = fault.ErrFenced
	}
	return err
}
