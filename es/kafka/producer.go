package kafka

import "context"

// Producer publishes messages.
type Producer struct{ client *Client }

// ProducerOption changes a producer.
type ProducerOption func(*Producer)

// NewProducer returns a producer. The caller closes it.
func (c *Client) NewProducer(options ...ProducerOption) *Producer { return &Producer{client: c} }

// Publish returns when all messages are acknowledged by all replicas in sync, or ctx ends.
func (p *Producer) Publish(ctx context.Context, messages ...Message) error { return nil }

// Close waits for what is under way.
func (p *Producer) Close() error { return nil }
