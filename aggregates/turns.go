package aggregates

import (
	"context"
	"sync"
)

// turns lets those who decide on one aggregate and met a conflict go on one after the
// other. Without them, a hundred callers on one aggregate would make each decision
// twenty times over; other processes and those who met no conflict are not held up.
type turns struct {
	mu sync.Mutex
	of map[string]*queue
}

type queue struct {
	slot  chan struct{} // holds one: who has put it there has the turn
	users int
}

// take waits for a turn at an aggregate, which the caller must give back. With an
// error there is nothing to give back, and giving it back does nothing.
func (t *turns) take(ctx context.Context, id string) (giveBack func(), err error) {
	if ctx.Err() != nil {
		return func() {}, context.Cause(ctx)
	}
	q := t.enter(id)
	select {
	case q.slot <- struct{}{}:
		return func() { <-q.slot; t.leave(id, q) }, nil
	case <-ctx.Done():
		t.leave(id, q)
		return func() {}, context.Cause(ctx)
	}
}

func (t *turns) enter(id string) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.of[id]
	if q == nil {
		if t.of == nil {
			t.of = map[string]*queue{}
		}
		q = &queue{slot: make(chan struct{}, 1)}
		t.of[id] = q
	}
	q.users++
	return q
}

func (t *turns) leave(id string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(t.of, id)
	}
}
