package projections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// FromKafka makes a projector read the topics of its definition's categories, which
// it must name, instead of the log. The processes that run it share the partitions
// as a consumer group of the build's own.
//
// Of a store, Kafka carries the events; the log decides what they are. An event is applied only
// if the log has it, gaps are filled from the log, and what Kafka lost or does not
// bring in time is read from the log: see [WithLogCheck]. While topics are missing or
// no broker can be reached at the start, the projector follows the log alone. Offsets
// are kept in the transaction of the read model, not in Kafka; a partition without
// one is read from its end, after the log.
//
// Rebuild and Rollback read the log, which must lie in the read model's own database.
//
// In a database of its own ([In], without FromLog) the read model is fed from Kafka alone,
// as with the events of another service: see Topics alone in the package's documentation.
func FromKafka(client *kafka.Client, options ...KafkaOption) Option {
	return func(p *Projector) {
		s := &kafkaSource{client: client, every: 5 * time.Second}
		for _, option := range options {
			option(s)
		}
		p.source = s
	}
}

// KafkaOption changes how a projector reads Kafka.
type KafkaOption func(*kafkaSource)

// WithTopicPrefix names the prefix that the relay puts before a category to make the
// topic's name; none by default.
func WithTopicPrefix(prefix string) KafkaOption { return func(s *kafkaSource) { s.prefix = prefix } }

// WithEventSource names the ce_source of the store's events, as the relay was given
// it. Messages of other sources are then skipped without a look at the log. With topics
// alone, messages of all sources are applied where it is not given, each source's streams
// apart from another's.
func WithEventSource(source string) KafkaOption { return func(s *kafkaSource) { s.source = source } }

// WithLogCheck sets how often the projector compares what it has applied with the
// log, and whether topics came, went or were made anew: 5 seconds by default. What
// was in the log at one check and is not applied at the next is read from the log. With
// topics alone it looks at the topics.
func WithLogCheck(every time.Duration) KafkaOption { return func(s *kafkaSource) { s.every = every } }

// kafkaSource reads Kafka, and the log where Kafka has holes.
type kafkaSource struct {
	client *kafka.Client
	prefix string
	source string // ce_source; empty: any
	every  time.Duration
	topics []string
}

func (s *kafkaSource) check(p *Projector) error {
	if err := s.checkTopics(p); err != nil {
		return err
	}
	if !p.beside() {
		return fmt.Errorf("%w: %q: FromKafka fills gaps from the log, which must lie in the read model's own database: give New the store, or leave FromLog out to be fed from Kafka alone", ErrInvalid, p.def.name)
	}
	s.name(p)
	return nil
}

func (s *kafkaSource) checkTopics(p *Projector) error {
	d := p.def
	switch {
	case s.client == nil:
		return fmt.Errorf("%w: %q: FromKafka needs a client", ErrInvalid, d.name)
	case len(d.categories) == 0:
		return fmt.Errorf("%w: %q: FromKafka needs Categories, which are the topics", ErrInvalid, d.name)
	case d.order == LogOrder:
		return fmt.Errorf("%w: %q: its rows need the log's order, and Kafka keeps that of each stream alone: follow the log, or say in the definition that Order is OneStream or Commuting, if it is", ErrInvalid, d.name)
	case s.every <= 0:
		return fmt.Errorf("%w: %q: WithLogCheck of %s: give more than zero", ErrInvalid, d.name, s.every)
	}
	return nil
}

// name makes the names of the topics.
func (s *kafkaSource) name(p *Projector) {
	for _, category := range p.def.categories {
		s.topics = append(s.topics, s.prefix+category)
	}
}

func (s *kafkaSource) kind() string { return kindKafka }

func (s *kafkaSource) String() string {
	if len(s.topics) == 1 {
		return "kafka topic " + s.topics[0]
	}
	return "kafka topics " + strings.Join(s.topics, ", ")
}

// follow reads Kafka and watches the log at the same time.
func (s *kafkaSource) follow(ctx context.Context, p *Projector, b build) error {
	b, err := p.inLife(ctx, b)
	if err != nil {
		return err
	}
	f := &follower{kafkaSource: s, p: p, b: b, room: p.newRoom()}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchLog(ctx) })
	group.Go(func() error { return f.consume(ctx) })
	return group.Wait()
}

// event returns the event of a message; false when it is none of this store's.
func (s *kafkaSource) event(m kafka.Message) (es.RecordedEvent, bool) {
	if s.source != "" && kafka.Source(m) != s.source {
		return es.RecordedEvent{}, false
	}
	m.Topic = strings.TrimPrefix(m.Topic, s.prefix) // the category
	e, err := kafka.ToEvent(m)
	return e, err == nil
}
