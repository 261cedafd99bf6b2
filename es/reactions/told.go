package reactions

import "sync"

// told is what has been said in the log: once, not for every message.
type told struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

// toldMost bounds it, as messages of others can make up types.
const toldMost = 1000

// first reports whether a thing was not said before.
func (t *told) first(thing string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, before := t.seen[thing]; before || len(t.seen) == toldMost {
		return false
	}
	if t.seen == nil {
		t.seen = map[string]struct{}{}
	}
	t.seen[thing] = struct{}{}
	return true
}
