package source

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// A build belongs to one kind of source. From the log it needs no more than its
// position, since the log is settled and in order. What Kafka brings is in order within
// a stream only, and may come twice: then the last version of each stream is kept. A
// projector changes the kind when it begins, in one transaction that holds the build;
// two that run side by side do not take it from each other.

// TakeKind makes the build one of a kind of source, unless the projector did so before
// and another has changed it since.
func (f *Feed) TakeKind(ctx context.Context, b books.Build, kind string) (books.Build, error) {
	if b.Kind != kind && (b.Kind == books.KindTopic || kind == books.KindTopic) {
		return b, fmt.Errorf("%w: %q: its tables are fed from %s, and this program feeds them from %s: rebuild it with this program", fault.ErrInvalid, b.Name, b.Kind, kind)
	}
	if b.Kind != kind && f.Kept.Load() == b.ID {
		return b, fmt.Errorf("%w: %s, build %d: it is fed from %s, and this program feeds it from %s: stop one of them", fault.ErrKind, b.Name, b.ID, b.Kind, kind)
	}
	for b.Kind != kind {
		was := b.Kind
		now, changed, err := f.Applier.ChangeKind(ctx, b, kind)
		if err != nil {
			return b, err
		}
		if b = now; changed {
			f.Applier.Logger.InfoContext(ctx, "the kind of source is another", "build", b.ID, "was", was, "is", kind, "position", b.Position)
			break
		}
		if b, err = f.Follow(ctx, b); err != nil { // towards where Kafka was
			return b, err
		}
	}
	f.Kept.Store(b.ID) // not before: what has failed is tried again
	return b, nil
}

// Follow applies what the log has next.
func (f *Feed) Follow(ctx context.Context, b books.Build) (books.Build, error) {
	next, n, err := f.Pull(ctx, b, f.Batch)
	if err == nil && n == 0 {
		err = wait.For(ctx, f.Poll)
	}
	return next, err
}
