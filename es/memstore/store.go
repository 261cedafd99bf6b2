package memstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

// Store is an event store in memory. It is safe for concurrent use.
type Store struct {
	mu        sync.RWMutex
	log       []es.RecordedEvent    // the event at position p is log[p-1]
	streams   map[es.StreamID][]int // of each stream, the indexes of its events in log
	ids       map[uuid.UUID]es.Recorded
	topics    map[string]string         // what Kafka takes a category's topic for → the category
	contracts map[[2]string]es.Contract // by kind and fingerprint
	clock     time.Time                 // never goes back
}

var (
	_ es.Store = (*Store)(nil)
	_ es.Log   = (*Store)(nil)

	_ es.Contracts = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{streams: map[es.StreamID][]int{}, ids: map[uuid.UUID]es.Recorded{}, topics: map[string]string{}, contracts: map[[2]string]es.Contract{}}
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
	topic := strings.ReplaceAll(stream.Category, ".", "_")
	if there, ok := s.topics[topic]; ok && there != stream.Category {
		return nil, fmt.Errorf("memstore: append to %s: %w: the store has category %q, and for Kafka the topics of the two are one, as it knows no difference between . and _: choose another", stream, es.ErrInvalid, there)
	}
	if again, err := s.again(stream, events); again != nil || err != nil {
		return again, err
	}
	indexes := s.streams[stream]
	got := es.Version(len(indexes))
	if !want.Matches(got) {
		return nil, &es.ConflictError{Stream: stream, Want: want, Got: got}
	}
	if err := s.keepContracts(events); err != nil {
		return nil, err
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
	s.streams[stream], s.topics[topic] = indexes, stream.Category
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
			there := &s.log[known.Position-1]
			if what := events[i].Differs(there); what != "" {
				return nil, fmt.Errorf("memstore: append to %s: %w: %s was recorded with another %s: give each event an id of its own",
					stream, es.ErrDuplicateID, known.ID, what)
			}
			list = append(list, clone(*there))
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
