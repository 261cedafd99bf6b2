package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	// Backoff of Run after a failure.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second

	// grace is how long a stop waits for what is being published.
	grace = 3 * time.Second
)

// Run publishes the log until ctx ends, and returns nil then: what is being
// published is finished first, for 3 s at most, so that a clean stop repeats nothing.
// While another relay is active it waits.
//
// Failures of Kafka or the database are tried again, with a growing pause. What no
// patience cures is returned: [ErrPartitions], [ErrRestored], [ErrInvalid], missing
// tables, an event that the broker does not accept. Meanwhile [ReadStatus] shows the
// failure.
func (r *Relay) Run(ctx context.Context) error {
	if err := r.validate(); err != nil {
		return err
	}
	producer := r.client.NewProducer()
	defer func() {
		if err := producer.Close(); err != nil {
			r.log.WarnContext(ctx, "producer did not close", "error", err)
		}
	}()
	leader, backoff := leaderName(), wait.Backoff{First: firstBackoff, Last: lastBackoff}
	for {
		progress, err := r.lead(ctx, leader, producer)
		switch {
		case ctx.Err() != nil:
			return nil
		case final(err):
			return err
		case errors.Is(err, errFenced):
			r.log.WarnContext(ctx, "relay gives way", "error", err)
			continue
		case progress:
			backoff.Reset()
		}
		pause := backoff.Next()
		r.log.WarnContext(ctx, "relay failed and will try again", "error", err, "in", pause)
		if wait.For(ctx, pause) != nil {
			return nil
		}
	}
}

// leaderName is unique to one Run.
func leaderName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d, %s", host, os.Getpid(), strings.ToLower(rand.Text()[:6]))
}

// lead waits for the lease and publishes for a term. It reports whether the
// checkpoint moved.
func (r *Relay) lead(ctx context.Context, leader string, producer *kafka.Producer) (progress bool, err error) {
	t, err := r.await(ctx, leader)
	if err != nil {
		return false, err
	}
	defer func() { t.release(ctx, t.reason(ctx, err)) }()
	if err := t.check(ctx); err != nil {
		return false, err
	}
	r.log.InfoContext(ctx, "relay is active", "epoch", t.epoch, "position", t.position)

	start := t.position
	err = t.publishLog(ctx, producer)
	return t.position > start, err
}

// reason is what the next who looks should know; nothing after a clean stop.
func (t *term) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// publishLog is the pipeline of a term: one page is read and made into messages
// while the one before is published, and the checkpoint follows on its own. When ctx
// ends reading stops at once, and the rest has a grace.
func (t *term) publishLog(ctx context.Context, producer *kafka.Producer) error {
	late, cancel := wait.Beyond(ctx, grace)
	defer cancel()
	g, work := errgroup.WithContext(late)
	reading, stopReading := context.WithCancel(work)
	defer stopReading()
	defer context.AfterFunc(ctx, stopReading)()
	keeping, stopKeeping := context.WithCancel(work)
	defer stopKeeping()

	p := &publisher{term: t, producer: producer, known: map[string]bool{}}
	pages, marks := make(chan page), make(chan mark, 1)
	g.Go(func() error { defer close(pages); return t.readPages(reading, pages) })
	g.Go(func() error { defer close(marks); return p.publish(work, pages, marks) })
	g.Go(func() error { defer stopKeeping(); return t.follow(work, reading, marks) })
	g.Go(func() error { return t.keep(keeping, p.failure) })
	return g.Wait()
}
