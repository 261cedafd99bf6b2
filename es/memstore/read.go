package memstore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/asof-dev/asof/es"
)

// ReadStream reads a stream: see [es.Store]. It may be appended to meanwhile; the
// loop then meets the new events at its end.
func (s *Store) ReadStream(ctx context.Context, stream es.StreamID, from es.Version) iter.Seq2[es.RecordedEvent, error] {
	return func(yield func(es.RecordedEvent, error) bool) {
		if err := stream.Validate(); err != nil {
			yield(es.RecordedEvent{}, err)
			return
		}
		for v := max(from, 1); ; v++ {
			if err := ctx.Err(); err != nil {
				yield(es.RecordedEvent{}, fmt.Errorf("memstore: read %s: %w", stream, err))
				return
			}
			event, last := s.event(stream, v)
			if last == 0 {
				yield(es.RecordedEvent{}, fmt.Errorf("%w: %s", es.ErrStreamNotFound, stream))
				return
			}
			if v > last || !yield(event, nil) {
				return
			}
		}
	}
}

// event returns a stream's event of a version, and the stream's last version.
func (s *Store) event(stream es.StreamID, v es.Version) (es.RecordedEvent, es.Version) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	indexes := s.streams[stream]
	last := es.Version(len(indexes))
	if v > last {
		return es.RecordedEvent{}, last
	}
	return clone(s.log[indexes[v-1]]), last
}

// Read returns events of all streams: see [es.Log]. An append takes no time here, so
// every event is settled.
func (s *Store) Read(ctx context.Context, after es.Position, limit int) ([]es.RecordedEvent, error) {
	if limit < 1 {
		return nil, fmt.Errorf("%w: read of %d events: ask for 1 or more", es.ErrInvalid, limit)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memstore: read the log: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	from := min(max(int(after), 0), len(s.log))
	page := s.log[from:][:min(limit, len(s.log)-from)]
	if len(page) == 0 {
		return nil, nil
	}
	events := make([]es.RecordedEvent, len(page))
	for i := range page {
		events[i] = clone(page[i])
	}
	return events, nil
}

// Settle returns the head of the log: see [es.Settler].
func (s *Store) Settle(ctx context.Context, at time.Time) (es.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("memstore: settle the log: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if at.Equal(now) { // step past it, so that an event can be read as of its own time at once
		now = now.Add(time.Microsecond)
		s.clock = now
	}
	if !at.IsZero() && !at.Before(now) {
		return 0, fmt.Errorf("%w: %s is not in the past of the store, whose clock says %s", es.ErrNotSettled,
			at.UTC().Format(time.RFC3339Nano), now.Format(time.RFC3339Nano))
	}
	return es.Position(len(s.log)), nil
}

// SettleTo returns at once: see [es.Settler].
func (s *Store) SettleTo(ctx context.Context, p es.Position) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memstore: settle the log: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if head := es.Position(len(s.log)); p > head {
		return fmt.Errorf("%w: position %d is past the end of the log, which is at %d", es.ErrNotSettled, p, head)
	}
	return nil
}
