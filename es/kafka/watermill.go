package kafka

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
)

// PublisherConfig configures a Publisher; the zero value works.
type PublisherConfig struct {
	// Key returns a message's key. Nil means the metadata KeyMetadata.
	Key func(topic string, m *message.Message) string
	// Timeout bounds a Publish. Zero means 30 s.
	Timeout time.Duration
	// TopicPrefix stands before the name of every topic.
	TopicPrefix string
}

// Publisher is Watermill's.
type Publisher struct{ client *Client }

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher returns a publisher. The caller closes it.
func NewPublisher(c *Client, config PublisherConfig) (*Publisher, error) {
	return &Publisher{client: c}, nil
}

// Publish returns when all messages are acknowledged.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error { return nil }

// Close waits for what is under way.
func (p *Publisher) Close() error { return nil }

// SubscriberConfig configures a Subscriber.
type SubscriberConfig struct {
	// Group is the consumer group; required.
	Group string
	// From says where a group without a commit begins.
	From Start
	// TopicPrefix stands before the name of every topic.
	TopicPrefix string
}

// Subscriber is Watermill's.
type Subscriber struct{ client *Client }

var _ message.Subscriber = (*Subscriber)(nil)

// NewSubscriber returns a subscriber. The caller closes it.
func NewSubscriber(c *Client, config SubscriberConfig) (*Subscriber, error) {
	return &Subscriber{client: c}, nil
}

// Subscribe returns the messages of a topic.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	return nil, nil
}

// Close ends all subscriptions.
func (s *Subscriber) Close() error { return nil }

// EventOf returns the event of a message of a Subscriber.
func EventOf(m *message.Message) (es.RecordedEvent, error) { return es.RecordedEvent{}, nil }

// MessageID returns what deduplicates a message.
func MessageID(m *message.Message) string { return "" }
