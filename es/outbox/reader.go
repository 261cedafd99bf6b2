package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

// mark is a place in the log.
type mark struct {
	position es.Position
	id       uuid.UUID
}

// page is a piece of the log, ready to be published. The store keeps it near 8 MiB.
type page struct {
	messages   []kafka.Message
	categories []string
	bytes      int // of the payloads
	end        mark
}

// pageBytes is near what the store gives at a time.
const pageBytes = 8 << 20

// with is the page with the one that follows it.
func (p page) with(next page) page {
	p.messages = append(p.messages, next.messages...)
	for _, category := range next.categories {
		if !slices.Contains(p.categories, category) {
			p.categories = append(p.categories, category)
		}
	}
	p.bytes, p.end = p.bytes+next.bytes, next.end
	return p
}

// reader reads the log of a term.
type reader struct {
	term   *term
	holdup holdup
}

func newReader(t *term) *reader { return &reader{term: t} }

// readPages reads the log from the checkpoint on until ctx ends.
func (r *reader) readPages(ctx context.Context, out chan<- page) error {
	after := r.term.start
	for {
		events, err := r.readPage(ctx, after)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if len(events) == 0 {
			if r.awaitMore(ctx, after.Position) != nil {
				return nil
			}
			continue
		}
		p := r.pageOf(events)
		at := es.Checkpoint{Life: after.Life, Position: p.end.position, EventID: p.end.id} // another each time: the lease reads it meanwhile
		r.term.read.Store(&at)
		after = at
		select {
		case out <- p:
		case <-ctx.Done():
			return nil
		}
	}
}

// readEvery is how often the log is read though nobody has told of more, nor that it is
// another.
const readEvery = time.Minute

// awaitMore waits at the end of the log, with the store's other readers. What goes wrong
// there, reading will tell.
func (r *reader) awaitMore(ctx context.Context, after es.Position) error {
	relay := r.term.relay
	if _, err := relay.store.Await(ctx, after, relay.poll, readEvery); err != nil {
		return wait.For(ctx, relay.poll)
	}
	return ctx.Err()
}

// readPage returns events of the term's life of which no failover to a synchronous
// standby takes one back.
func (r *reader) readPage(ctx context.Context, after es.Checkpoint) ([]es.RecordedEvent, error) {
	store := r.term.relay.store
	events, err := store.ReadReplicated(ctx, after, r.term.relay.batch, func() {
		r.holdup.begin(fmt.Sprintf("the synchronous standbys do not have the events after position %d", after.Position),
			"check that as many of them run as synchronous_standby_names asks for")
	})
	r.holdup.end()
	if err != nil || len(events) == 0 {
		return nil, err
	}
	life, err := store.Life(ctx) // as the page was seen in, or a later one
	if err != nil {
		return nil, err
	}
	if life != after.Life {
		return nil, fmt.Errorf("%w: a repair has begun life %s", errFenced, life)
	}
	return events, nil
}

func (r *reader) pageOf(events []es.RecordedEvent) page {
	p := page{messages: make([]kafka.Message, len(events))}
	relay, life := r.term.relay, kafka.LifeHeader(r.term.start.Life)
	for i := range events {
		category := events[i].Stream.Category
		if !slices.Contains(p.categories, category) {
			p.categories = append(p.categories, category)
		}
		m := &p.messages[i]
		*m = kafka.FromEvent(relay.source, relay.topicOf(category), events[i])
		m.Headers = append(m.Headers, life)
		p.bytes += len(m.Value)
	}
	last := &events[len(events)-1]
	p.end = mark{position: last.Position, id: last.ID}
	return p
}
