package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// publishTimeout bounds a Publish that names no other time.
const publishTimeout = 30 * time.Second

// PublisherConfig configures a [Publisher]; the zero value works.
type PublisherConfig struct {
	// Key returns the Kafka key of a message, "" for none. Messages of one key stay in
	// order. Nil means the metadata [MetadataKey].
	Key func(topic string, m *message.Message) string
	// Timeout bounds a Publish. Zero means 30 s.
	Timeout time.Duration
	// TopicPrefix stands before the name of every topic.
	TopicPrefix string
}

// Publisher publishes for Watermill, through a [Producer] of its own. A message's
// UUID and metadata become headers.
type Publisher struct {
	config   PublisherConfig
	producer *Producer
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher returns a publisher. The caller closes it.
func NewPublisher(c *Client, config PublisherConfig) (*Publisher, error) {
	if err := ValidTopicPrefix(config.TopicPrefix); err != nil {
		return nil, err
	}
	if config.Timeout < 0 {
		return nil, fmt.Errorf("%w: timeout %s: give 0 or more", ErrInvalid, config.Timeout)
	}
	if config.Timeout == 0 {
		config.Timeout = publishTimeout
	}
	if config.Key == nil {
		config.Key = func(_ string, m *message.Message) string { return m.Metadata[MetadataKey] }
	}
	return &Publisher{config: config, producer: c.NewProducer()}, nil
}

// Publish returns when all messages are acknowledged: see [Producer.Publish]. It ends
// with the context of the first message, or after the timeout.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(messages[0].Context(), p.config.Timeout)
	defer cancel()
	list := make([]Message, len(messages))
	for i, m := range messages {
		list[i] = fromWatermill(m, p.config.TopicPrefix+topic, p.config.Key(topic, m))
	}
	return p.producer.Publish(ctx, list...)
}

// Close waits for what is under way. A second call does nothing.
func (p *Publisher) Close() error { return p.producer.Close() }
