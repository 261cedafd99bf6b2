package projections

import (
	"time"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/source"
)

// FromKafka makes a projector read the topics of its definition's categories, which
// it must name, instead of the log; or those of [WithTopics]. The processes that run it share the partitions
// as a consumer group of the build's own.
//
// Of a store, Kafka carries the events; the log decides what they are. An event is applied only
// if the log has it, gaps are filled from the log, and what Kafka lost or does not
// bring in time is read from the log: see [WithLogCheck]. While topics are missing or
// no broker can be reached at the start, the projector follows the log alone. Offsets
// are kept in the transaction of the read model, not in Kafka; a partition without
// one is read from its end, after the log.
//
// Rebuild and Rollback read the log. It lies in the read model's own database, or in another
// ([In] with [FromLog]), of which a projector needs to read the tables alone; one that was put
// back without the read model is refused.
//
// In a database of its own ([In], without FromLog) the read model is fed from Kafka alone,
// as with the events of another service: see Topics alone in the package's documentation.
func FromKafka(client *kafka.Client, options ...KafkaOption) Option {
	return func(p *Projector) {
		s := &source.Kafka{Client: client, Every: 5 * time.Second}
		for _, option := range options {
			option(s)
		}
		p.source = s
	}
}

// KafkaOption changes how a projector reads Kafka.
type KafkaOption func(*source.Kafka)

// WithTopicPrefix names the prefix that the relay puts before a category to make the
// topic's name; none by default.
func WithTopicPrefix(prefix string) KafkaOption { return func(s *source.Kafka) { s.Prefix = prefix } }

// WithTopics names the topics, without the prefix, in place of the categories: those that
// other events are published to as well, or a copy of one. Which stream an event is of, its
// headers say, so what lies in two of them is applied once, and a topic may take another's
// place. Name a former version of a contract before the later one. Events of other categories are
// left alone.
func WithTopics(names ...string) KafkaOption { return func(s *source.Kafka) { s.Names = names } }

// WithEventSource names the ce_source of the store's events, as the relay was given
// it. Messages of other sources are then skipped without a look at the log. With topics
// alone, messages of all sources are applied where it is not given, each source's streams
// apart from another's.
func WithEventSource(ceSource string) KafkaOption {
	return func(s *source.Kafka) { s.Source = ceSource }
}

// WithLogCheck sets how often the projector compares what it has applied with the
// log, and whether topics came, went or were made anew: 5 seconds by default. What
// was in the log at one check and is not applied at the next is read from the log. With
// topics alone it looks at the topics.
func WithLogCheck(every time.Duration) KafkaOption { return func(s *source.Kafka) { s.Every = every } }
