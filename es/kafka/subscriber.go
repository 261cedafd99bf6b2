package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/internal/wait"
)

const (
	// nackPause is the pause before a message that was not acknowledged comes again.
	nackPause = 100 * time.Millisecond
	// deliverBatch is how many messages are taken over at once.
	deliverBatch = 500
	// initializeTimeout bounds SubscribeInitialize, which has no context.
	initializeTimeout = 30 * time.Second
)

// SubscriberConfig configures a [Subscriber].
type SubscriberConfig struct {
	// Group is the consumer group; required. Subscribers of one group share the
	// messages, each group gets them all.
	Group string
	// From says where the group begins in a topic for which it has no commit.
	From Start
	// TopicPrefix stands before the name of every topic.
	TopicPrefix string
	// Topic has the partitions, replication and settings of topics that
	// SubscribeInitialize creates; its name is not used.
	Topic Topic
}

// Subscriber subscribes for Watermill, as a member of a consumer group.
//
// Each partition delivers one message at a time and the next when that one is
// acknowledged, so that messages of one key are handled in order and partitions are
// handled in parallel. A message that is negatively acknowledged is delivered again
// after 100 ms. When its partition goes to another member, the message's context
// ends, and the other member delivers it again.
type Subscriber struct {
	client *Client
	config SubscriberConfig
	ctx    context.Context //nolint:containedctx // of all subscriptions; ends with Close
	stop   context.CancelFunc

	mu            sync.Mutex
	closed        bool
	subscriptions sync.WaitGroup
}

var (
	_ message.Subscriber           = (*Subscriber)(nil)
	_ message.SubscribeInitializer = (*Subscriber)(nil)
)

// NewSubscriber returns a subscriber. The caller closes it.
func NewSubscriber(c *Client, config SubscriberConfig) (*Subscriber, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	s := &Subscriber{client: c, config: config}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

func (config SubscriberConfig) check() error {
	switch t := config.Topic; {
	case config.Group == "":
		return fmt.Errorf("%w: the subscriber has no group: name one", ErrInvalid)
	case config.From != First && config.From != Last:
		return fmt.Errorf("%w: subscriber of group %q: From is %d: give First or Last", ErrInvalid, config.Group, config.From)
	case t.Partitions < 0 || t.Replication < 0:
		return fmt.Errorf("%w: subscriber of group %q: topics of %d partitions, replication %d: give counts of 0 or more", ErrInvalid, config.Group, t.Partitions, t.Replication)
	}
	return ValidTopicPrefix(config.TopicPrefix)
}

// SubscribeInitialize creates the topic when it is missing.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	ctx, cancel := context.WithTimeout(s.ctx, initializeTimeout)
	defer cancel()
	t := s.config.Topic
	t.Name = s.config.TopicPrefix + topic
	return s.client.EnsureTopics(ctx, t)
}

// Subscribe joins the group. The channel is closed after ctx ends, after Close, and
// when this client may not read the topic. Messages carry ctx's values.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	group := Group{Name: s.config.Group, Topics: []string{s.config.TopicPrefix + topic}, From: s.config.From}
	starts, err := s.client.begin(ctx, group)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: the subscriber was closed before", ErrClosed)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	d := &delivery{prefix: s.config.TopicPrefix, out: make(chan *message.Message)}
	s.subscriptions.Go(func() {
		defer close(d.out)
		defer cancel()
		defer stop()
		if err := s.client.consume(ctx, group, starts, d.partition); err != nil {
			s.client.log.Error("the subscription has ended", "topic", group.Topics[0], "group", group.Name, "error", err)
		}
	})
	return d.out, nil
}

// Close ends all subscriptions and waits until their channels are closed and their
// commits written. Messages that are not acknowledged then are delivered again, to
// another member. A second call does nothing.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.subscriptions.Wait()
	return nil
}

// delivery hands messages of a topic out.
type delivery struct {
	prefix string
	out    chan *message.Message
}

var errNotAcknowledged = errors.New("kafka: the message was not acknowledged")

func (d *delivery) partition(ctx context.Context, part *Partition) error {
	for {
		messages, err := part.Fetch(ctx, deliverBatch)
		if err != nil {
			return err
		}
		for i := range messages {
			if err := d.deliver(ctx, part, &messages[i]); err != nil {
				return err
			}
			part.Commit(messages[i].Offset + 1)
		}
	}
}

// deliver hands a message out until it is acknowledged.
func (d *delivery) deliver(ctx context.Context, part *Partition, m *Message) error {
	for {
		err := d.once(ctx, ToWatermill(m, d.prefix, part.id))
		if !errors.Is(err, errNotAcknowledged) {
			return err
		}
		if err := wait.For(ctx, nackPause); err != nil {
			return err
		}
	}
}

func (d *delivery) once(ctx context.Context, w *message.Message) error {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	w.SetContext(own)
	select {
	case d.out <- w:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-w.Acked():
		return nil
	case <-w.Nacked():
		return errNotAcknowledged
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
