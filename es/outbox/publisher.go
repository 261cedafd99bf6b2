package outbox

import (
	"context"
	"fmt"
	"sync"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

// publisher publishes the pages of a term, one after the other.
type publisher struct {
	term     *term
	producer *kafka.Producer
	topics   *topics
	holdup   holdup
}

func newPublisher(t *term, producer *kafka.Producer) *publisher {
	return &publisher{term: t, producer: producer, topics: newTopics(t.relay, producer)}
}

// publishPages hands on the end of every page that Kafka has acknowledged.
func (p *publisher) publishPages(ctx context.Context, pages <-chan page, marks chan mark) error {
	from := p.term.start.Position
	for page := range pages {
		for _, category := range page.categories {
			p.holdup.begin("the topic "+p.term.relay.topicOf(category)+" could not be looked at or made", "check that Kafka's brokers run and can be reached")
			if err := p.topics.ensure(ctx, category); err != nil {
				return err
			}
		}
		p.holdup.begin(fmt.Sprintf("Kafka has not acknowledged the events after position %d", from), "check that its brokers run and can be reached")
		if err := p.send(ctx, page); err != nil {
			return fmt.Errorf("outbox: publish the events after position %d: %w", from, err)
		}
		p.holdup.end()
		from = page.end.position
		select {
		case <-marks: // an older one that was not taken yet
		default:
		}
		marks <- page.end
	}
	return nil
}

// send publishes a page. While Kafka does not acknowledge it the topics are looked at
// again: the producer would wait for ever for one that was deleted.
func (p *publisher) send(ctx context.Context, page page) error {
	ctx, stop := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for wait.For(ctx, slow) == nil {
			if err := p.topics.remake(ctx, page.categories); final(err) {
				stop(err)
			}
		}
	})
	err := p.producer.Publish(ctx, page.messages...)
	stop(nil)
	watch.Wait()
	if cause := context.Cause(ctx); err != nil && final(cause) {
		return cause
	}
	return err
}
