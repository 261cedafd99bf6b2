package pgstore

import (
	"sync"
	"sync/atomic"
)

const (
	// pageBytes is where a page of events ends: it bounds the memory of a reader.
	pageBytes = 8 << 20
	// firstPage is how many events are read before their size is known.
	firstPage = 64
)

// sizes knows how large the events of categories are, so that a page asks the server
// for about as much as it will take. The log as a whole is category "".
type sizes struct{ of sync.Map } // category → *atomic.Int64, bytes of an event

// fit returns how many events to ask for, when limit are wanted and a page has taken so
// many bytes already; zero when there is no room for another.
func (s *sizes) fit(category string, limit, taken int) int {
	known, ok := s.of.Load(category)
	if !ok {
		return min(limit, firstPage)
	}
	room := int64(pageBytes-taken) / known.(*atomic.Int64).Load()
	if taken == 0 {
		room = max(room, 1)
	}
	return int(min(int64(limit), max(room, 0)))
}

// note remembers the last page.
func (s *sizes) note(category string, events, bytes int) {
	if events == 0 {
		return
	}
	known, ok := s.of.Load(category)
	if !ok {
		known, _ = s.of.LoadOrStore(category, &atomic.Int64{})
	}
	known.(*atomic.Int64).Store(max(1, int64(bytes/events)))
}
