package outbox

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	// checkpointEvery spares the database commits; a crash repeats a little more.
	checkpointEvery = 20 * time.Millisecond
	// slow is when a page that is not acknowledged counts as a failure.
	slow = 2 * time.Second
)

// publisher publishes the pages of a term, one after the other.
type publisher struct {
	term     *term
	producer *kafka.Producer
	known    map[string]bool // categories whose topics were looked at in this term
	busy     atomic.Pointer[publishing]
}

type publishing struct {
	since time.Time
	from  es.Position
}

// publish hands on the end of every page that Kafka has acknowledged.
func (p *publisher) publish(ctx context.Context, pages <-chan page, marks chan mark) error {
	from := p.term.position
	for page := range pages {
		p.busy.Store(&publishing{since: time.Now(), from: from})
		for _, category := range page.categories {
			if err := p.ensureTopic(ctx, category); err != nil {
				return err
			}
		}
		if err := p.send(ctx, page); err != nil {
			return fmt.Errorf("outbox: publish the events after position %d: %w", from, err)
		}
		p.busy.Store(nil)
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
			if err := p.remake(ctx, page.categories); final(err) {
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

// failure says what to show while Kafka does not answer; nil when it does.
func (p *publisher) failure() *string {
	busy := p.busy.Load()
	if busy == nil || time.Since(busy.since) < slow {
		return nil
	}
	text := fmt.Sprintf("outbox: Kafka has not acknowledged the events after position %d since %s: check that its brokers run and can be reached; the relay goes on by itself",
		busy.from, busy.since.UTC().Format(time.RFC3339))
	return &text
}

// follow moves the checkpoint behind what is published. A clean stop, which ends
// reading, does not wait for the pause.
func (t *term) follow(ctx, reading context.Context, marks <-chan mark) error {
	for m := range marks {
		if err := t.move(ctx, m); err != nil {
			return err
		}
		_ = wait.For(reading, checkpointEvery)
	}
	return nil
}
