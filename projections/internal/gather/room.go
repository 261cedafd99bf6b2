// Package gather lets what has come while somebody was at work be done together, by the
// next one whose turn it is.
//
//	room := gather.New(func(group []order, next order) bool { return len(group) < 100 })
//	err := room.Do(one, func(all []order) error { return pay(all...) }, func() error { return pay(one) })
package gather

import "sync"

// Room is where items wait for a turn. It is safe for concurrent use.
type Room[T any] struct {
	fits func(group []T, next T) bool
	turn chan struct{}

	mu      sync.Mutex
	waiting []*waiting[T] // in the order in which they came
}

type waiting[T any] struct {
	item  T
	apart bool          // it was tried with others, in vain
	done  chan struct{} // closed when it was done with others
}

// New returns a room. Fits says whether an item may join a group.
func New[T any](fits func(group []T, next T) bool) *Room[T] {
	return &Room[T]{fits: fits, turn: make(chan struct{}, 1)}
}

// Do returns when the item is done: by another caller, with its own; by together, with
// others that wait and fit, all or none of them; or by alone, where nothing else waits or
// together has failed. Then the others are done alone as well, by their own callers.
func (r *Room[T]) Do(item T, together func([]T) error, alone func() error) error {
	w := &waiting[T]{item: item, done: make(chan struct{})}
	r.enter(w)
	select {
	case <-w.done:
		return nil
	case r.turn <- struct{}{}:
	}
	defer func() { <-r.turn }()
	group := r.group(w)
	switch {
	case len(group) == 0: // it was done just now
		return nil
	case len(group) > 1 && together(items(group)) == nil:
		for _, other := range group[1:] {
			close(other.done)
		}
		return nil
	default:
		return alone()
	}
}

func (r *Room[T]) enter(w *waiting[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, w)
}

// group takes out an item and what fits to it; none when it was done.
func (r *Room[T]) group(w *waiting[T]) []*waiting[T] {
	select {
	case <-w.done:
		return nil
	default:
	}
	group := []*waiting[T]{w}
	if w.apart {
		return group
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.waiting[:0]
	for _, other := range r.waiting {
		switch {
		case other == w:
		case r.fits(items(group), other.item):
			other.apart = true // but for together
			group = append(group, other)
		default:
			left = append(left, other)
		}
	}
	clear(r.waiting[len(left):])
	r.waiting = left
	return group
}

func items[T any](group []*waiting[T]) []T {
	list := make([]T, len(group))
	for i, w := range group {
		list[i] = w.item
	}
	return list
}
