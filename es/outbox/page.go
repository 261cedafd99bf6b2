package outbox

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	// pageBytes is near what a page's payloads are kept.
	pageBytes = 8 << 20
	// firstPage is how many events are read before their size is known.
	firstPage = 100
)

// mark is a place in the log.
type mark struct {
	position es.Position
	id       uuid.UUID
}

// page is a piece of the log, ready to be published.
type page struct {
	messages   []kafka.Message
	categories []string
	end        mark
}

// readPages reads the log from the checkpoint on until ctx ends.
func (t *term) readPages(ctx context.Context, out chan<- page) error {
	after, limit := t.checkpoint(), min(firstPage, t.relay.batch)
	for {
		events, err := t.read(ctx, after, limit)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if len(events) == 0 {
			if wait.For(ctx, t.relay.poll) != nil {
				return nil
			}
			continue
		}
		limit = t.nextLimit(events, limit)
		p := t.pageOf(events)
		select {
		case out <- p:
			after = es.Checkpoint{Life: t.life, Position: p.end.position, EventID: p.end.id}
		case <-ctx.Done():
			return nil
		}
	}
}

// read returns events of which no failover to a synchronous standby takes one back.
func (t *term) read(ctx context.Context, after es.Checkpoint, limit int) ([]es.RecordedEvent, error) {
	events, err := t.relay.store.ReadAfter(ctx, after, limit)
	if err == nil && len(events) > 0 {
		err = t.relay.store.AwaitReplication(ctx)
	}
	return events, err
}

// nextLimit expects events as large as the last ones, and grows with care.
func (t *term) nextLimit(events []es.RecordedEvent, limit int) int {
	bytes := 0
	for i := range events {
		bytes += len(events[i].Data) + 256 // about what a row has besides
	}
	fit := pageBytes / max(1, bytes/len(events))
	return max(1, min(fit, 8*limit, t.relay.batch))
}

func (t *term) pageOf(events []es.RecordedEvent) page {
	p := page{messages: make([]kafka.Message, len(events))}
	life := kafka.LifeHeader(t.life)
	for i := range events {
		category := events[i].Stream.Category
		if !slices.Contains(p.categories, category) {
			p.categories = append(p.categories, category)
		}
		m := &p.messages[i]
		*m = kafka.FromEvent(t.relay.source, t.relay.topic(category), events[i])
		m.Headers = append(m.Headers, life)
	}
	last := &events[len(events)-1]
	p.end = mark{position: last.Position, id: last.ID}
	return p
}

func (r *Relay) topic(category string) string { return r.prefix + category }
