package source

import (
	"context"

	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/gather"
)

// newRoom is where partitions wait, of which as many go together as a batch has events.
func (f *Feed) newRoom() *gather.Room[*desk] {
	return gather.New(func(group []*desk, next *desk) bool {
		n := next.count()
		for _, d := range group {
			n += d.count()
		}
		return n <= f.Batch && group[0].origin() == next.origin()
	})
}

// applyTogether applies what several partitions have brought, all or none.
func (f *follower) applyTogether(ctx context.Context, list []*desk) error {
	works := make([]*apply.Work, len(list))
	for i, d := range list {
		works[i] = d.work()
	}
	return f.feed.Applier.CommitTogether(ctx, f.b, works)
}
