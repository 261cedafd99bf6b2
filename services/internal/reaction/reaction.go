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
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
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

// topicWait is how often the topic of a service that has not begun yet is looked for.
const topicWait = 200 * time.Millisecond

// Run reacts until ctx ends, finishes the messages under way, and returns nil.
//
// A message whose reaction fails is tried again, with a pause that grows, and those
// behind it in its partition wait: an order of events is not broken to go on. What no
// patience cures ends it with an error that says what to do: missing tables or rights,
// a broker that refuses this client, [es.ErrRestored] and [es.ErrAnotherLife].
func Run(ctx context.Context, c Config) error {
	if _, err := c.Inbox.Prune(ctx); err != nil && final(err) { // else it is seen at the first message only
		return stopped(ctx, failed(c, err))
	}
	subscriber, err := kafka.NewSubscriber(c.Client, kafka.SubscriberConfig{Group: c.TopicPrefix + c.Group, TopicPrefix: c.TopicPrefix})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: stopWait}, watermill.NewSlogLogger(c.Log))
	if err != nil {
		return fmt.Errorf("reaction: make the router: %w", err)
	}
	if err := topicExists(ctx, c); err != nil {
		return errors.Join(stopped(ctx, failed(c, err)), router.Close(), subscriber.Close())
	}
	group, running := errgroup.WithContext(ctx)
	ended := make(chan error, 1)
	router.AddMiddleware(ending(ended), retrying(c), finish, middleware.Recoverer)
	router.AddConsumerHandler(c.Group, c.Topic, subscriber, c.Inbox.Handle(c.React))
	group.Go(func() error {
		err := router.Run(running)
		if err == nil && running.Err() == nil {
			err = errors.New("the subscription has ended, and the log says why: correct that and start again")
		}
		return err
	})
	group.Go(func() error { return c.Inbox.Run(running) })
	group.Go(func() error {
		select {
		case err := <-ended:
			return err
		case <-running.Done():
			return nil
		}
	})
	if err := group.Wait(); err != nil {
		return errors.Join(failed(c, err), subscriber.Close())
	}
	return subscriber.Close()
}

func failed(c Config, err error) error {
	if pg.OnlyByOperator(err) {
		return pg.Explain("reaction", c.Group, err)
	}
	return fmt.Errorf("reaction: %s: %w", c.Group, err)
}

// final reports what trying again does not cure.
func final(err error) bool {
	for _, target := range []error{es.ErrRestored, es.ErrAnotherLife, kafka.ErrDenied, kafka.ErrClosed, kafka.ErrInvalid} {
		if errors.Is(err, target) {
			return true
		}
	}
	return pg.OnlyByOperator(err)
}

// ending hands over the first error that is final. Its message is not acknowledged.
func ending(ended chan<- error) message.HandlerMiddleware {
	return func(handle message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) ([]*message.Message, error) {
			out, err := handle(m)
			if final(err) {
				select {
				case ended <- err:
				default: // it ends already
				}
			}
			return out, err
		}
	}
}

// retrying tries a message again for half a minute; then it comes again from Kafka.
func retrying(c Config) message.HandlerMiddleware {
	return middleware.Retry{
		MaxRetries: 10, InitialInterval: 50 * time.Millisecond, MaxInterval: 5 * time.Second, Multiplier: 2, RandomizationFactor: 0.5,
		ShouldRetry: func(p middleware.RetryParams) bool { return !final(p.Err) },
		Logger:      watermill.NewSlogLogger(c.Log),
	}.Middleware
}

// finish lets a reaction that has begun go on for a while when its message's context
// ends. Should another member get the message meanwhile, the inbox tells.
func finish(handle message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx := m.Context()
		longer, cancel := wait.Beyond(ctx, stopWait/2)
		defer cancel()
		m.SetContext(longer)
		defer m.SetContext(ctx)
		return handle(m)
	}
}

// topicExists waits until the other service's relay has made the topic, which it
// does before the first event.
func topicExists(ctx context.Context, c Config) error {
	for told := false; ; told = true {
		_, err := c.Client.Partitions(ctx, c.TopicPrefix+c.Topic)
		if err == nil || final(err) {
			return err
		}
		if !told && ctx.Err() == nil {
			c.Log.InfoContext(ctx, "waiting for a topic: the relay of the service that has the events makes it", "topic", c.TopicPrefix+c.Topic, "error", err)
		}
		if err := wait.For(ctx, topicWait); err != nil {
			return err
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
