package outbox

import (
	"fmt"
	"sync/atomic"
	"time"
)

// slow is when waiting counts as a failure.
const slow = 2 * time.Second

// holdup is what one part of a term waits for.
type holdup struct{ now atomic.Pointer[waiting] }

type waiting struct {
	since        time.Time
	what, advice string
}

func (h *holdup) begin(what, advice string) {
	h.now.Store(&waiting{since: time.Now(), what: what, advice: advice})
}

func (h *holdup) end() { h.now.Store(nil) }

// failure says what to show when it takes long; nil when it does not.
func (h *holdup) failure() *string {
	w := h.now.Load()
	if w == nil || time.Since(w.since) < slow {
		return nil
	}
	text := fmt.Sprintf("outbox: %s since %s: %s; the relay goes on by itself", w.what, w.since.UTC().Format(time.RFC3339), w.advice)
	return &text
}
