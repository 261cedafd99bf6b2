package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

// publisher publishes the pages of a term. A page waits a little for the one before it, as what
// is read meanwhile goes with it in fewer requests, and not longer: else a partition that is
// slow would hold up all others. The order is the flow's to keep.
type publisher struct {
	term     *term
	producer *kafka.Producer
	topics   *topics
	room     *semaphore.Weighted // for pages that are not acknowledged
	looks    holdup              // of who looks at topics
	waits    holdup              // of who waits for Kafka
}

const (
	// unacknowledged and pagesAhead are how many bytes and pages are sent ahead, about.
	unacknowledged = 2 * pageBytes
	pagesAhead     = 64
	// together is how long a page waits for the one before it to be acknowledged.
	together = 20 * time.Millisecond
	// messageBytes is about what a message takes beside its payload.
	messageBytes = 250
)

func newPublisher(t *term, producer *kafka.Producer) *publisher {
	return &publisher{term: t, producer: producer, topics: newTopics(t.relay, producer), room: semaphore.NewWeighted(unacknowledged)}
}

// failure says what holds it up.
func (p *publisher) failure() *string {
	if text := p.waits.failure(); text != nil {
		return text
	}
	return p.looks.failure()
}

// sent is a page that Kafka has to acknowledge.
type sent struct {
	page
	acknowledged func() error
	done         chan struct{} // closed when it is acknowledged
}

// weight is what the page takes of the room.
func (p page) weight() int64 {
	return min(unacknowledged, int64(p.bytes)+messageBytes*int64(len(p.messages)))
}

// publishPages hands on the end of every page of which, and of all before it, Kafka has
// acknowledged everything.
func (p *publisher) publishPages(ctx context.Context, pages <-chan page, marks chan mark) error {
	group, ctx := errgroup.WithContext(ctx)
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ahead := make(chan sent, pagesAhead)
	group.Go(func() error { defer close(ahead); return p.sendPages(ctx, pages, ahead) })
	group.Go(func() error { return p.awaitPages(ctx, giveUp, ahead, marks) })
	return group.Wait()
}

// sendPages sends page after page, as far as there is room.
func (p *publisher) sendPages(ctx context.Context, pages <-chan page, ahead chan<- sent) error {
	flow := p.producer.NewFlow(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil // why, the other says
		case page, more := <-pages:
			if !more || p.room.Acquire(ctx, page.weight()) != nil {
				return nil
			}
			acknowledged, err := p.send(ctx, flow, page)
			if errors.Is(err, kafka.ErrBehind) {
				return nil // the page that it is behind says why
			}
			if err != nil {
				return err
			}
			next := sent{page, acknowledged, make(chan struct{})}
			select {
			case ahead <- next:
			case <-ctx.Done():
				return nil
			}
			next.awaitLittle(ctx)
		}
	}
}

// awaitLittle waits until the page is acknowledged, or not much longer.
func (s *sent) awaitLittle(ctx context.Context) {
	timer := time.NewTimer(together)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// send sends a page to topics that there are.
func (p *publisher) send(ctx context.Context, flow *kafka.Flow, page page) (acknowledged func() error, err error) {
	defer p.looks.end()
	for _, topic := range page.topics {
		p.looks.begin("the topic "+p.term.relay.topicOf(topic)+" could not be looked at or made", "check that Kafka's brokers run and can be reached")
		if err := p.topics.ensure(ctx, topic); err != nil {
			return nil, err
		}
	}
	if len(page.messages) == 0 { // all of it is held, or nothing is to be published of it
		return func() error { return nil }, nil
	}
	acknowledged, err = flow.Send(page.messages...)
	if err != nil {
		return nil, fmt.Errorf("outbox: publish the events up to position %d: %w", page.end.position, err)
	}
	return acknowledged, nil
}

// awaitPages waits for the pages that are sent, in their order.
func (p *publisher) awaitPages(ctx context.Context, giveUp context.CancelCauseFunc, ahead <-chan sent, marks chan mark) error {
	from := p.term.start.Position
	for page := range ahead {
		p.waits.begin(fmt.Sprintf("Kafka has not acknowledged the events after position %d", from), "check that its brokers run and can be reached")
		if err := p.await(ctx, giveUp, page); err != nil {
			return fmt.Errorf("outbox: publish the events after position %d: %w", from, err)
		}
		close(page.done)
		for _, published := range page.published {
			close(published)
		}
		p.waits.end()
		p.room.Release(page.weight())
		from = page.end.position
		select {
		case <-marks: // an older one that was not taken yet
		default:
		}
		marks <- page.end
	}
	return nil
}

// await waits for a page. While Kafka does not acknowledge it the topics are looked at
// again: the producer would wait for ever for one that was deleted.
func (p *publisher) await(ctx context.Context, giveUp context.CancelCauseFunc, page sent) error {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for wait.For(watching, slow) == nil {
			if err := p.topics.remake(watching, page.topics); final(err) {
				giveUp(err)
			}
		}
	})
	err := page.acknowledged()
	stop()
	watch.Wait()
	if cause := context.Cause(ctx); err != nil && final(cause) {
		return cause
	}
	return err
}
