package inbox

import "sync"

// told is what has been said in the log: once of each kind, not for every message.
type told struct {
	mu   sync.Mutex
	seen map[[2]string]struct{}
}

// toldMost bounds the kinds, which messages of others can make up.
const toldMost = 1000

// first reports whether nothing of this kind was said of the topic before.
func (t *told) first(topic, kind string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := [2]string{topic, kind}
	if _, before := t.seen[key]; before || len(t.seen) == toldMost {
		return false
	}
	if t.seen == nil {
		t.seen = map[[2]string]struct{}{}
	}
	t.seen[key] = struct{}{}
	return true
}
