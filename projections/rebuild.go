package projections

import (
	"context"

	"github.com/asof-dev/asof/projections/internal/rebuild"
	"github.com/asof-dev/asof/projections/internal/source"
)

// Progress is how far a rebuild has got.
type Progress struct {
	Name    string
	Version int
	Phase   string  // "reading", "verifying" or "live"
	Done    int64   // events of the log; with topics alone, messages
	Total   int64   // events in the log when the rebuild began, or a few less: holes count too. Done passes it when more are appended
	Rate    float64 // of Done a second, since this call began
	// Differing counts the rows that the old tables had, lacked or had otherwise, at
	// the same position. It is set in the last report, whose Phase is "live", when Compared.
	Differing int64
	// Compared: the old build was of the same version and DDL, neither paused nor fed from
	// topics alone, and small enough to be compared in time.
	Compared bool
}

// RebuildOption changes how a rebuild runs.
type RebuildOption func(*rebuild.Rebuild)

// WithProgress calls f after every step of the rebuild, from one goroutine.
func WithProgress(f func(Progress)) RebuildOption {
	return func(r *rebuild.Rebuild) { r.Report = func(p rebuild.Progress) { f(Progress(p)) } }
}

// Rebuild builds the projector's version beside the live read model, verifies it and
// makes it live. Readers and the live projector go on meanwhile; the old tables are
// kept for [Projector.Rollback]. Rebuilding the version that is live repairs it.
//
// When ctx ends, what was built is kept, and the next Rebuild goes on from there.
// Another one under way gives [ErrBusy]; one whose process died gives way after 30
// seconds. What others have put on the live tables, or depends on them elsewhere, gives
// [ErrByHand] or [ErrDependents] before anything is built; what does not agree with the log
// gives [ErrVerify]; what can neither be applied nor parked gives an [*EventError] or
// [ErrTooManyParked]. The live tables stay as they are then.
func (p *Projector) Rebuild(ctx context.Context, options ...RebuildOption) error {
	if p.invalid != nil {
		return p.invalid
	}
	return p.replace(ctx, false, options)
}

// Rollback makes the kept build of the projector's version live again, after it has
// caught up from the log, and keeps the one that was live. Run it in a program of
// the older version. Without a kept build of that version and definition it gives
// [ErrNotBuilt], as with one that is damaged; what stops a Rebuild stops it, too.
func (p *Projector) Rollback(ctx context.Context, options ...RebuildOption) error {
	if p.invalid != nil {
		return p.invalid
	}
	return p.replace(ctx, true, options)
}

func (p *Projector) replace(ctx context.Context, back bool, options []RebuildOption) error {
	r := rebuild.New(p.feed, p.topics(), p.program)
	r.Back = back
	for _, option := range options {
		option(r)
	}
	return r.Replace(ctx)
}

// topics are the source of a projector that has no log; else nil.
func (p *Projector) topics() *source.Kafka {
	if s, alone := p.source.(*source.Topics); alone {
		return s.Kafka
	}
	return nil
}
