package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/mapping"
	"github.com/asof-dev/asof/internal/wait"
)

// mark is a place in the log.
type mark struct {
	position es.Position
	id       uuid.UUID
}

// page is a piece of the log, ready to be published. The store keeps it near 8 MiB.
type page struct {
	messages  []kafka.Message
	topics    []string // without the prefix
	bytes     int      // of the payloads
	end       mark
	published []chan struct{} // closed when it is acknowledged
}

// pageBytes is near what the store gives at a time.
const pageBytes = 8 << 20

// with is the page with the one that follows it.
func (p page) with(next page) page {
	p.messages = append(p.messages, next.messages...)
	for _, topic := range next.topics {
		p.to(topic)
	}
	p.bytes, p.end, p.published = p.bytes+next.bytes, next.end, append(p.published, next.published...)
	return p
}

// to notes a topic that something goes to.
func (p *page) to(topic string) {
	if !slices.Contains(p.topics, topic) {
		p.topics = append(p.topics, topic)
	}
}

// reader reads the log of a term, and makes messages of it.
type reader struct {
	term   *term
	holdup holdup // of who waits for standbys
	stuck  holdup // of who cannot make messages
	held   holding
	life   kafka.Header
}

func newReader(t *term) *reader { return &reader{term: t, held: holding{term: t}} }

// failure says what holds it up.
func (r *reader) failure() *string {
	if text := r.stuck.failure(); text != nil {
		return text
	}
	return r.holdup.failure()
}

// readPages reads the log from the checkpoint on until ctx ends.
func (r *reader) readPages(ctx context.Context, out chan<- page) error {
	ctx = es.WithContracts(ctx, r.term.relay.store)
	after := r.term.start
	r.life = kafka.LifeHeader(after.Life)
	if err := r.held.load(ctx); err != nil {
		return err
	}
	r.held.tellUnknown(ctx)
	for {
		if err := r.retryHeld(ctx, after, out); err != nil {
			return stopped(ctx, err)
		}
		events, err := r.readPage(ctx, after)
		if err != nil {
			return stopped(ctx, err)
		}
		if len(events) == 0 {
			if r.awaitMore(ctx, after.Position) != nil {
				return nil
			}
			continue
		}
		p, made, err := r.pageOf(ctx, events)
		if made > 0 {
			at := es.Checkpoint{Life: after.Life, Position: p.end.position, EventID: p.end.id} // another each time: the lease reads it meanwhile
			r.term.read.Store(&at)
			after = at
			if r.give(ctx, p, out) != nil {
				return nil
			}
		}
		if err != nil {
			if err := r.awaitOther(ctx, err); err != nil {
				return stopped(ctx, err)
			}
			continue
		}
		r.stuck.end()
	}
}

// stopped is nil once ctx has ended: then what failed is of no interest.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *reader) give(ctx context.Context, p page, out chan<- page) error {
	select {
	case out <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stuckPause is how long the reader waits before it tries again what it could not make
// messages of and must not pass.
const stuckPause = time.Second

// awaitOther waits for what is to pass by itself, or by another program, and fails with what
// does not.
func (r *reader) awaitOther(ctx context.Context, why error) error {
	if !errors.Is(why, es.ErrNewerSchema) && !errors.Is(why, es.ErrUnavailable) && !errors.Is(why, ErrTooManyHeld) {
		return why
	}
	if r.stuck.now.Load() == nil {
		r.term.relay.logger.WarnContext(ctx, "the relay waits", "error", why)
		r.stuck.begin(why.Error(), "see what is needed for it")
	}
	return wait.For(ctx, stuckPause)
}

// readEvery is how often the log is read though nobody has told of more, nor that it is
// another.
const readEvery = time.Minute

// awaitMore waits at the end of the log, with the store's other readers, or until what is held
// is to be tried again. What goes wrong there, reading will tell.
func (r *reader) awaitMore(ctx context.Context, after es.Position) error {
	relay, most := r.term.relay, readEvery
	if len(r.held.from) > 0 {
		most = min(most, max(time.Millisecond, relay.retryHeld-time.Since(r.held.tried)))
	}
	if _, err := relay.store.Await(ctx, after, relay.poll, most); err != nil {
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

// pageOf makes messages of events, as far as it can, and says of how many: a mapping that
// fails at an event has its stream held, but for what stops it.
func (r *reader) pageOf(ctx context.Context, events []es.RecordedEvent) (p page, made int, err error) {
	p.messages = make([]kafka.Message, 0, len(events))
	for i := range events {
		before := len(p.messages)
		if err = r.add(ctx, &p, &events[i]); err != nil {
			p.messages = p.messages[:before] // of its other mappings
			break
		}
		made++
	}
	if made > 0 {
		last := &events[made-1]
		p.end = mark{position: last.Position, id: last.ID}
	}
	return p, made, err
}

// add adds what is published of an event.
func (r *reader) add(ctx context.Context, p *page, e *es.RecordedEvent) error {
	mappings := r.term.relay.mappings[e.Stream.Category]
	if len(mappings) == 0 {
		p.add(r.message(e.Stream.Category, e), e.Stream.Category)
		return nil
	}
	for _, m := range mappings {
		if r.held.has(m, e) {
			continue
		}
		err := r.addMapped(ctx, p, m, e)
		if err != nil && !passes(err) {
			err = r.held.hold(ctx, m, e, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passes reports an error that says nothing of the event: a newer program reads it, or what it
// takes is down.
func passes(err error) bool {
	return errors.Is(err, es.ErrNewerSchema) || errors.Is(err, es.ErrUnavailable)
}

// addMapped adds what a mapping makes of an event.
func (r *reader) addMapped(ctx context.Context, p *page, m mapping.Mapping, e *es.RecordedEvent) error {
	list, err := m.Publish(ctx, *e)
	if err != nil {
		return err
	}
	for i := range list {
		message := r.message(m.Topic(), &list[i].RecordedEvent)
		if m.Sparse() {
			message.Headers = append(message.Headers, kafka.SparseHeader())
		}
		if c := list[i].Contract; c != nil {
			message.Headers = append(message.Headers, kafka.ContractHeader(*c))
		}
		p.add(message, m.Topic())
	}
	return nil
}

func (p *page) add(m kafka.Message, topic string) {
	p.messages = append(p.messages, m)
	p.to(topic)
	p.bytes += len(m.Value)
}

func (r *reader) message(topic string, e *es.RecordedEvent) kafka.Message {
	m := kafka.FromEvent(r.term.relay.source, r.term.relay.topicOf(topic), *e)
	m.Headers = append(m.Headers, r.life)
	return m
}
