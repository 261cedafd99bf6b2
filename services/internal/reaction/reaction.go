// Package reaction runs a service's reaction to the events of another: Watermill's
// router on a Kafka topic, with an inbox that makes each reaction happen once.
package reaction

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// Config is one reaction.
type Config struct {
	Client      *kafka.Client
	TopicPrefix string // of all topics and of the group
	Group       string // of consumers; one per service and reaction
	Topic       string // the category of the events
	Inbox       *inbox.Inbox
	React       func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error
	Log         *slog.Logger
}

// stopWait is how long a message may take when the reaction is asked to stop.
const stopWait = 10 * time.Second

// Run reacts until ctx ends, finishes the messages under way, and returns nil.
//
// A message whose reaction fails is tried again, with a pause that grows, and those
// behind it in its partition wait: an order of events is not broken to go on.
func Run(ctx context.Context, c Config) error {
	subscriber, err := kafka.NewSubscriber(c.Client, kafka.SubscriberConfig{Group: c.TopicPrefix + c.Group, TopicPrefix: c.TopicPrefix})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: stopWait}, watermill.NewSlogLogger(c.Log))
	if err != nil {
		return fmt.Errorf("reaction: make the router: %w", err)
	}
	retry := middleware.Retry{
		MaxRetries: 10, InitialInterval: 50 * time.Millisecond, MaxInterval: 5 * time.Second, Multiplier: 2, RandomizationFactor: 0.5,
		Logger: watermill.NewSlogLogger(c.Log),
	}
	router.AddMiddleware(retry.Middleware, finish, middleware.Recoverer)
	if err := topicExists(ctx, c); err != nil {
		return errors.Join(stopped(ctx, err), router.Close(), subscriber.Close())
	}
	router.AddConsumerHandler(c.Group, c.Topic, subscriber, c.Inbox.Handle(c.React))
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := router.Run(running)
		if err == nil && ctx.Err() == nil {
			err = errors.New("the subscription has ended, and the log says why: correct that and start again")
		}
		return err
	})
	group.Go(func() error { return c.Inbox.Run(running) })
	if err := group.Wait(); err != nil {
		return errors.Join(fmt.Errorf("reaction: %s: %w", c.Group, err), subscriber.Close())
	}
	return subscriber.Close()
}

// finish lets a reaction that has begun go on for a while when its message's context
// ends. Should another member get the message meanwhile, the inbox tells.
func finish(handle message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx := m.Context()
		longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopWait/2, cancel) })
		defer cancel()
		defer stop()
		m.SetContext(longer)
		defer m.SetContext(ctx)
		return handle(m)
	}
}

// topicExists waits until the other service's relay has made the topic, which it
// does before the first event.
func topicExists(ctx context.Context, c Config) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; told = true {
		_, err := c.Client.Partitions(ctx, c.TopicPrefix+c.Topic)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !told {
			c.Log.InfoContext(ctx, "waiting for a topic: the relay of the service that has the events makes it", "topic", c.TopicPrefix+c.Topic, "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stopped is nil when ctx has ended.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
