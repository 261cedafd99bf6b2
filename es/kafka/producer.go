package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// batchBytes keeps a request below the message.max.bytes of a broker that was
	// not configured otherwise (1,048,588). A larger message goes alone.
	batchBytes = 1_000_000
	// batchMessages bounds what one request carries.
	batchMessages = 10_000
	// closeTimeout bounds Close.
	closeTimeout = 10 * time.Second
)

// Producer publishes messages, acknowledged by all replicas in sync. What is given
// while a request is under way goes with the next one. It is safe for concurrent
// use.
type Producer struct {
	client *Client
	ctx    context.Context //nolint:containedctx // ends with Close
	stop   context.CancelFunc
	turn   atomic.Uint32 // partition of the next messages without a key
	lines  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	byPart map[lineKey]*line
	fixed  map[string]int // partitions of topics, see Fix
}

type lineKey struct {
	topic     string
	partition int
}

// NewProducer returns a producer. The caller closes it.
func (c *Client) NewProducer() *Producer {
	p := &Producer{client: c, byPart: make(map[lineKey]*line), fixed: make(map[string]int)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Publish returns when all messages are acknowledged, and an error when that cannot
// be, or is not known, before ctx ends. It goes on trying until then: give ctx an
// end.
//
// Messages of one key are kept in the order given, through every retry: after a
// failure the same messages are sent again before any that follow. What is not
// acknowledged may still have been written, so that a message published again may
// stand there twice. The error is a [*PublishError] when some messages were sent.
//
// A key's partition follows from the number of partitions that the topic has, unless
// Fix has said it.
//
// The messages must not be changed before Publish returns and, after an error, not
// as long as the producer lives.
func (p *Producer) Publish(ctx context.Context, messages ...Message) error {
	if len(messages) == 0 {
		return nil
	}
	lines, err := p.assign(ctx, messages)
	if err != nil {
		return err
	}
	call := newCall(ctx, messages)
	if err := p.push(call, lines); err != nil {
		return err
	}
	return call.wait()
}

// push gives the messages of a call to their lines.
func (p *Producer) push(call *call, lines map[lineKey][]int) error {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("%w: the producer was closed before", ErrClosed)
	}
	for key, indexes := range lines {
		l := p.byPart[key]
		if l == nil {
			l = &line{producer: p, topic: key.topic, partition: key.partition}
			p.byPart[key] = l
		}
		l.push(call, indexes, now)
	}
	return nil
}

// assign gives the indexes of the messages of each partition, in order.
func (p *Producer) assign(ctx context.Context, messages []Message) (map[lineKey][]int, error) {
	counts := make(map[string]int)
	lines := make(map[lineKey][]int)
	turn := p.turn.Add(1) // a call's messages without a key stay together
	for i := range messages {
		topic := messages[i].Topic
		n, ok := counts[topic]
		if !ok {
			var err error
			if n, err = p.partitions(ctx, topic); err != nil {
				return nil, err
			}
			counts[topic] = n
		}
		key := lineKey{topic: topic, partition: int(turn) % n}
		if messages[i].Key != nil {
			key.partition = keyPartition(messages[i].Key, n)
		}
		lines[key] = append(lines[key], i)
	}
	return lines, nil
}

// Fix says how many partitions of a topic are used from now on. A topic that is given
// more while the producer lives would otherwise have its keys moved, and so their
// order lost, without a word.
func (p *Producer) Fix(topic string, partitions int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fixed[topic] = partitions
}

// partitions waits for a cluster that cannot be reached yet.
func (p *Producer) partitions(ctx context.Context, topic string) (int, error) {
	if err := ValidTopic(topic); err != nil {
		return 0, err
	}
	p.mu.Lock()
	fixed := p.fixed[topic]
	p.mu.Unlock()
	if fixed > 0 {
		return fixed, nil
	}
	rest := newBackoff()
	for {
		n, err := p.client.Partitions(ctx, topic)
		if err == nil || !errors.Is(err, ErrUnreachable) {
			return n, err
		}
		if rest.Wait(ctx) != nil {
			return 0, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// Close waits for what is under way, bounded, and refuses the rest. A second call
// does nothing.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	timer := time.AfterFunc(closeTimeout, p.stop)
	defer timer.Stop()
	p.lines.Wait()
	p.stop()
	return nil
}
