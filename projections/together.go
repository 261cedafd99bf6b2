package projections

import (
	"context"
	"errors"

	"github.com/asof-dev/asof/projections/internal/gather"
)

// A transaction writes for one build at a time, and each costs several round trips and a
// flush. Were there one for each partition, an event would wait for those of all the others:
// so what partitions have brought while one was under way goes with the next, together.
//
// What needs care is done apart, for each partition by itself: what the database refuses,
// what is none of the log's, a partition that another process has moved on, a gap.

// errApart: works that were applied together are to be applied one by one.
var errApart = errors.New("projections: the partitions are applied one by one")

// newRoom is where partitions wait, of which as many go together as a batch has events.
func (p *Projector) newRoom() *gather.Room[*desk] {
	return gather.New(func(group []*desk, next *desk) bool {
		n := next.count()
		for _, d := range group {
			n += d.count()
		}
		source, life := group[0].origin()
		nextSource, nextLife := next.origin()
		return n <= p.batch && source == nextSource && life == nextLife
	})
}

// applyTogether applies what several partitions have brought, all or none.
func (f *follower) applyTogether(ctx context.Context, list []*desk) error {
	f.p.turn.Lock()
	defer f.p.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, stop := lasting(ctx, batchGrace)
	defer stop()
	if _, err := f.p.tryMoving(ctx, f.b, together(list)); err != nil {
		return err
	}
	f.p.done.Add(1)
	return nil
}

// together is the works of partitions as one.
func together(list []*desk) *work {
	first := list[0].work()
	all := &work{source: first.source, life: first.life, offset: first.offset}
	for i, d := range list {
		w := d.work()
		all.events, all.offsets, all.foreign = append(all.events, w.events...), append(all.offsets, w.offsets...), all.foreign+w.foreign
		if i > 0 {
			all.others = append(all.others, w.offset)
		}
	}
	return all
}

// apart reports what partitions do not have in common: a message that is no event of the
// log, a gap. Before is the work as it was given.
func (w *work) apart(before *work) bool {
	return len(w.others) > 0 && (w.gapped || w.foreign > before.foreign)
}
