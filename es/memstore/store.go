package memstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// Store is an event store in memory. It is safe for concurrent use.
type Store struct {
	mu      sync.RWMutex
	log     []es.RecordedEvent    // the event at position p is log[p-1]
	streams map[es.StreamID][]int // of each stream, the indexes of its events in log
	ids     map[uuid.UUID]es.Recorded
	clock   time.Time // never goes back
}

var (
	_ es.Store = (*Store)(nil)
	_ es.Log   = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{streams: map[es.StreamID][]int{}, ids: map[uuid.UUID]es.Recorded{}}
}

// Append records events: see [es.Store].
func (s *Store) Append(ctx context.Context, stream es.StreamID, want es.Expected, events ...es.EventData) ([]es.RecordedEvent, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memstore: append to %s: %w", stream, err)
	}
	if err := es.ValidateAppend(stream, want, events); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if again, err := s.again(stream, events); again != nil || err != nil {
		return again, err
	}
	indexes := s.streams[stream]
	got := es.Version(len(indexes))
	if !want.Matches(got) {
		return nil, &es.ConflictError{Stream: stream, Want: want, Got: got}
	}
	now := s.now()
	recorded := make([]es.RecordedEvent, len(events))
	for i := range events {
		e := record(&events[i], stream, got+es.Version(i)+1, es.Position(len(s.log)+1), now)
		indexes = append(indexes, len(s.log))
		s.log = append(s.log, e)
		s.ids[e.ID] = e.Recorded
		recorded[i] = clone(e)
	}
	s.streams[stream] = indexes
	return recorded, nil
}

// again returns the first result of an append that is made again, nothing for ids
// that are new, and an error for any other use of an id.
func (s *Store) again(stream es.StreamID, events []es.EventData) ([]es.RecordedEvent, error) {
	var list []es.RecordedEvent
	var first es.Recorded
	for i := range events {
		known, ok := s.ids[events[i].ID]
		if i == 0 {
			first = known
		}
		if ok != (first.Version > 0) || ok && (known.Stream != stream || known.Version != first.Version+es.Version(i)) {
			if !ok {
				known = first
			}
			return nil, fmt.Errorf("memstore: append to %s: %w: %s is version %d of %s: give each event an id of its own",
				stream, es.ErrDuplicateID, known.ID, known.Version, known.Stream)
		}
		if ok {
			list = append(list, clone(s.log[known.Position-1]))
		}
	}
	return list, nil
}

// now is the store's clock, in microseconds. It is read with the store locked.
func (s *Store) now() time.Time {
	if now := time.Now().UTC().Truncate(time.Microsecond); now.After(s.clock) {
		s.clock = now
	}
	return s.clock
}
