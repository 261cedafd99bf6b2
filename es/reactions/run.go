package reactions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

// topicWait is how often the topics of a service that has not begun yet are looked for.
const topicWait = 200 * time.Millisecond

// Run reacts until ctx ends, finishes the messages under way, for five seconds at most,
// and returns nil. Processes that run it share the partitions.
//
// What no patience cures ends it with an error that says what to do: missing tables or
// rights, a broker that refuses this client, [es.ErrRestored] and [es.ErrAnotherLife],
// and a [TooManyParkedError]. It goes on where it was when it is started again.
func (r *Reactor) Run(ctx context.Context) error {
	if r.refused != nil {
		return r.refused
	}
	if r.client == nil {
		return fmt.Errorf("reactions: %w: %q has no Kafka to run on", es.ErrInvalid, r.name)
	}
	if err := r.ready(ctx); err != nil {
		return stopped(ctx, r.explain("begin", err))
	}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return r.inbox.Run(running) })
	group.Go(func() error { return r.consume(running) })
	if err := group.Wait(); err != nil {
		return stopped(ctx, r.explain("stopped", err))
	}
	return nil
}

// ready finds out what only an operator can mend before there is a message. Of the rest
// the messages tell.
func (r *Reactor) ready(ctx context.Context) error {
	_, err := r.inbox.Prune(ctx)
	if err == nil {
		_, err = List(ctx, r.store, r.name)
	}
	if final(err) {
		return err
	}
	return nil
}

// consume is a member of the group until ctx ends. Where there are no topics yet it waits
// until the relays of other services have made them, which they do before the first event.
func (r *Reactor) consume(ctx context.Context) error {
	for told := ""; ; {
		err := r.client.Consume(ctx, kafka.Group{Name: r.Group(), Topics: r.topics, From: r.from}, r.partition)
		if !errors.Is(err, kafka.ErrUnreachable) && !errors.Is(err, kafka.ErrNoTopic) {
			return err
		}
		if text := err.Error(); ctx.Err() == nil && told != text {
			told = text
			r.log.WarnContext(ctx, "the reaction waits for its topics: the relay of the service that has the events makes them", "topics", r.topics, "error", err)
		}
		if wait.For(ctx, topicWait) != nil {
			return nil
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
