package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/rebuild"
	"github.com/asof-dev/asof/projections/internal/source"
)

// eventTries is after how many failures on the same event Run gives up: that takes about
// three seconds.
const eventTries = 5

// Run keeps the read model: it builds it when there is none or an older version is
// live, then follows its source until ctx ends, and returns nil then. A batch that
// has begun is finished first.
//
// Failures of the database or the broker are tried again, with a pause that grows up
// to five seconds and begins anew after a batch that succeeded. What no patience
// cures is returned: an event that can neither be applied nor parked (an [*EventError],
// after a few tries), [ErrTooManyParked], [ErrTooManyGaps], [ErrTopicLost],
// [ErrNewerVersion], [ErrRolledBack], [ErrInvalid], [ErrDependents], [ErrByHand],
// [es.ErrRestored], [es.ErrAnotherLife], [es.ErrInvalid], tables and rights that are missing.
// Meanwhile Status shows the failure.
func (p *Projector) Run(ctx context.Context) error {
	backoff, tries := source.NewBackoff(), map[uuid.UUID]int{}
	p.feed.Kept.Store(0)
	for {
		done := p.apply.Done.Load()
		err := p.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, fault.ErrFenced) { // look again which build is live
			if p.apply.Done.Load() == done {
				_ = wait.For(ctx, p.feed.Poll) // one that is fenced again and again
			}
			continue
		}
		if !errors.Is(err, fault.ErrKind) && p.hasBooks() { // it is a failure of the build's
			p.feed.RecordFailure(ctx, err)
		}
		if fault.Final(err) || failedTooOften(err, tries) {
			return err
		}
		if p.apply.Done.Load() > done { // what failed before was overcome
			backoff.Reset()
		}
		again := backoff.Next()
		p.apply.Logger.WarnContext(ctx, "projector failed and will try again", "error", err, "in", again)
		if wait.For(ctx, again) != nil {
			return nil
		}
	}
}

// hasBooks reports that there is a place for a failure.
func (p *Projector) hasBooks() bool {
	return p.apply.Def != nil && p.apply.Def.Name != "" && !nothing(p.apply.Books.Database)
}

// failedTooOften counts failures by event: batches without it may succeed in between.
func failedTooOften(err error, tries map[uuid.UUID]int) bool {
	var event *fault.EventError
	if !errors.As(err, &event) || errors.Is(err, fault.ErrRetry) {
		return false
	}
	tries[event.Event.ID]++
	return tries[event.Event.ID] >= eventTries
}

func (p *Projector) runOnce(ctx context.Context) error {
	if p.invalid != nil {
		return p.invalid
	}
	if err := p.awaitResume(ctx); err != nil {
		return err
	}
	b, err := p.ready(ctx)
	if err != nil {
		return err
	}
	p.markServed()
	if b, err = p.feed.TakeKind(ctx, b, p.source.Kind()); err != nil {
		return err
	}
	if err := p.feed.SetSource(ctx, b, p.source.String()); err != nil {
		return err
	}
	return p.source.Follow(ctx, p.feed, b)
}

// ready returns the live build of the projector's version, and makes it first when
// there is none.
func (p *Projector) ready(ctx context.Context) (books.Build, error) {
	for {
		b, err := p.live(ctx)
		if err == nil && b.Version == p.apply.Def.Version && b.Fingerprint != p.apply.Def.Fingerprint() {
			return b, fmt.Errorf("%w: %q: the DDL or the Categories are not those that version %d was built with: raise Version, or rebuild this one", fault.ErrInvalid, b.Name, b.Version)
		}
		switch {
		case err == nil && b.Version == p.apply.Def.Version:
			return b, nil
		case err == nil && b.Version > p.apply.Def.Version:
			return b, rebuild.TooOld(p.apply.Def, b)
		case err == nil && p.served.Load():
			return b, fmt.Errorf("%w: %s version %d is live and this program has version %d: restart it to build that again", fault.ErrRolledBack, b.Name, b.Version, p.apply.Def.Version)
		case err != nil && !errors.Is(err, fault.ErrNotBuilt):
			return b, err
		}
		err = p.replace(ctx, false, []RebuildOption{func(r *rebuild.Rebuild) { r.First = true }})
		if err == nil { // it was live: one that is older when we look again was made live after it
			p.markServed()
			continue
		}
		if !errors.Is(err, fault.ErrBusy) && !errors.Is(err, fault.ErrFenced) {
			return b, err
		}
		if err := wait.For(ctx, p.feed.Poll); err != nil {
			return b, err
		}
	}
}

// markServed notes that a build of this version has been live while this program ran.
func (p *Projector) markServed() { p.served.Store(true) }
