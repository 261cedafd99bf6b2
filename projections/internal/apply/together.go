package apply

import (
	"context"
	"errors"

	"github.com/asof-dev/asof/projections/internal/books"
)

// A transaction writes for one build at a time, and each costs several round trips and a
// flush. Were there one for each partition, an event would wait for those of all the others:
// so what partitions have brought while one was under way goes with the next, together.
//
// What needs care is done apart, for each partition by itself: what the database refuses,
// what is none of the log's, a partition that another process has moved on, a gap.

// ErrApart: works that were applied together are to be applied one by one.
var ErrApart = errors.New("projections: the partitions are applied one by one")

// CommitTogether applies to the live build what several partitions have brought: after an error
// each is committed by itself, where what is applied already is left out.
func (a *Applier) CommitTogether(ctx context.Context, b books.Build, list []*Work) error {
	ctx, giveBack, err := a.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	if _, err := a.try(ctx, b, together(list)); err != nil {
		return err
	}
	a.Done.Add(1)
	return nil
}

// together is the works of partitions as one.
func together(list []*Work) *Work {
	first := list[0]
	all := &Work{Source: first.Source, Life: first.Life, Sparse: first.Sparse, Offset: first.Offset}
	for i, w := range list {
		all.Events, all.Offsets, all.Foreign = append(all.Events, w.Events...), append(all.Offsets, w.Offsets...), all.Foreign+w.Foreign
		if i > 0 {
			all.Others = append(all.Others, w.Offset)
		}
	}
	return all
}

// apart reports what partitions do not have in common: a message that is no event of the
// log, a gap. Before is the work as it was given.
func (w *Work) apart(before *Work) bool {
	return len(w.Others) > 0 && (w.Gapped || w.Foreign > before.Foreign)
}
