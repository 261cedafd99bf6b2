package pgstore

import "sync"

const (
	// pageBytes is where a page of events ends: it bounds the memory of a reader.
	pageBytes = 8 << 20
	// firstPage is how many events are read before their size is known.
	firstPage = 64
)

// sizes knows how large the events of categories are, so that a page asks the server
// for about as much as it will take. The log as a whole is category "".
type sizes struct {
	mu sync.RWMutex
	of map[string]int // bytes of an event, at least 1
}

// fit returns how many events to ask for, when limit are wanted and a page has taken so
// many bytes already; zero when there is no room for another.
func (s *sizes) fit(category string, limit, taken int) int {
	s.mu.RLock()
	size, known := s.of[category]
	s.mu.RUnlock()
	if !known {
		return min(limit, firstPage)
	}
	room := (pageBytes - taken) / size
	if taken == 0 {
		room = max(room, 1)
	}
	return min(limit, max(room, 0))
}

// many returns how many events of the log to ask a query of a stream for.
func (s *sizes) many() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if size, known := s.of[""]; known {
		return min(streamEvents, max(1, streamBytes/size))
	}
	return 10 * firstPage
}

// note remembers the last page.
func (s *sizes) note(category string, events, bytes int) {
	if events == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[category] = max(1, bytes/events)
}
