package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/mapping"
)

// retryHeld tries to publish what is held, when it is time: of each stream in order, as far as
// its mapping goes now. Nothing else is read meanwhile, so nothing overtakes it, and a stream is
// free when Kafka has acknowledged all of it up to here.
func (r *reader) retryHeld(ctx context.Context, upTo es.Checkpoint, out chan<- page) error {
	h := &r.held
	if len(h.from) == 0 || time.Since(h.tried) < r.term.relay.retryHeld {
		return nil
	}
	began := time.Now()
	if err := h.load(ctx); err != nil { // somebody may have skipped an event
		return err
	}
	defer func() { h.tried = time.Now() }()
	for key, one := range h.from { // in another order each time
		m, known := r.term.relay.mappingOf(key)
		if !known { // of a mapping that this program does not have
			continue
		}
		if err := r.retry(ctx, m, one, upTo, out); err != nil {
			return err
		}
		if time.Since(began) > mostOfRetry { // others wait meanwhile: the rest is tried the next time
			return nil
		}
	}
	return nil
}

// mostOfRetry is how long others wait for what is held, about.
const mostOfRetry = time.Second

func (r *Relay) mappingOf(key heldKey) (mapping.Mapping, bool) {
	list := r.mappings[key.stream.Category]
	i := slices.IndexFunc(list, func(m mapping.Mapping) bool { return m.Name() == key.mapping })
	if i < 0 {
		return mapping.Mapping{}, false
	}
	return list[i], true
}

// retry publishes a held stream as far as it can.
func (r *reader) retry(ctx context.Context, m mapping.Mapping, one Held, upTo es.Checkpoint, out chan<- page) error {
	from := one.Event.Version
	for {
		events, more, err := r.readHeld(ctx, one.Event.Stream, from, upTo.Position)
		if err != nil {
			return err
		}
		p := page{end: mark{position: upTo.Position, id: upTo.EventID}}
		var failed *es.RecordedEvent
		for i := range events {
			if err = r.addMapped(ctx, &p, m, &events[i]); err != nil {
				failed = &events[i]
				break
			}
		}
		if err := r.publish(ctx, p, out); err != nil {
			return err
		}
		switch {
		case failed != nil:
			return r.held.stays(ctx, one, failed.Recorded, err)
		case !more:
			return r.held.free(ctx, one.key())
		}
		from = events[len(events)-1].Version + 1
	}
}

// readHeld reads events of a stream that the checkpoint has passed, about a page of them, and
// says whether there are more.
func (r *reader) readHeld(ctx context.Context, stream es.StreamID, from es.Version, upTo es.Position) (events []es.RecordedEvent, more bool, err error) {
	bytes := 0
	for e, err := range r.term.relay.store.ReadStream(ctx, stream, from) {
		if errors.Is(err, es.ErrStreamNotFound) {
			break
		}
		if err != nil {
			return nil, false, err
		}
		if e.Position > upTo {
			break
		}
		if len(events) == r.term.relay.batch || bytes >= pageBytes {
			return events, true, nil
		}
		events, bytes = append(events, e), bytes+len(e.Data)
	}
	return events, false, nil
}

// publish waits until Kafka has acknowledged a page.
func (r *reader) publish(ctx context.Context, p page, out chan<- page) error {
	if len(p.messages) == 0 {
		return nil
	}
	published := make(chan struct{})
	p.published = append(p.published, published)
	if err := r.give(ctx, p, out); err != nil {
		return err
	}
	select {
	case <-published:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stays notes that a stream is held still, at an event that may be a later one than before.
func (h *holding) stays(ctx context.Context, one Held, at es.Recorded, why error) error {
	was := one.Event.Version
	one.Event, one.Error = at, why.Error()
	if _, err := h.write(ctx, "hold a stream", triedSQL, one, int64(was)); err != nil {
		return err
	}
	h.from[one.key()] = one // what was skipped meanwhile is seen the next time
	return nil
}
