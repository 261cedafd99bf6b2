package source

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// Feed is what a source gives its events to: the live build of a projection, with how often
// and how much it asks for.
type Feed struct {
	Applier *apply.Applier
	Poll    time.Duration
	Batch   int
	cleared atomic.Bool  // Status shows no failure of before
	Kept    atomic.Int64 // build whose kind of source this Run has seen to
	lives   atomic.Pointer[lives]
	moment  atomic.Int64 // when the present was made final last
}

// NewFeed gives to an applier what a source reads, so often and so much at once.
func NewFeed(a *apply.Applier, poll time.Duration, batch int) *Feed {
	f := &Feed{Applier: a, Poll: poll, Batch: batch}
	f.lives.Store(newLives())
	return f
}

// NewBackoff is how long a projector pauses after failures.
func NewBackoff() wait.Backoff {
	return wait.Backoff{First: 100 * time.Millisecond, Last: 5 * time.Second}
}

// sourceSQL says for Status where the build is fed from. Bind: $1 build, $2 source.
const sourceSQL = `update {asof}.builds set source = $2 where id = $1 and source <> $2`

// SetSource says for Status where the events come from.
func (f *Feed) SetSource(ctx context.Context, b books.Build, source string) error {
	if _, err := f.Applier.Books.Pool().Exec(ctx, f.Applier.Books.SQL(sourceSQL), b.ID, source); err != nil {
		return fault.Explain("say where the events come from", err)
	}
	return nil
}

// failureSQL keeps what stopped the projector for Status. Bind: $1 name, $2 text.
const failureSQL = `update {asof}.builds set failure = $2 where name = $1 and status <> 'retired'`

// RecordFailure says it for Status.
func (f *Feed) RecordFailure(ctx context.Context, err error) {
	f.cleared.Store(false)
	if _, err := f.Applier.Books.Pool().Exec(ctx, f.Applier.Books.SQL(failureSQL), f.Applier.Def.Name, pg.Storable(err.Error())); err != nil {
		f.Applier.Logger.DebugContext(ctx, "failure not recorded", "error", err)
	}
}

// clearedSQL forgets what stopped the projector. Bind: $1 build.
const clearedSQL = `update {asof}.builds set failure = null where id = $1 and failure is not null`

// clearFailure is for a projector that has caught up: it has no batch that would do it.
func (f *Feed) clearFailure(ctx context.Context, b books.Build) error {
	if f.cleared.Load() {
		return nil
	}
	if _, err := f.Applier.Books.Pool().Exec(ctx, f.Applier.Books.SQL(clearedSQL), b.ID); err != nil {
		return fault.Explain("say that it runs", err)
	}
	f.cleared.Store(true)
	return nil
}
