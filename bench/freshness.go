package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/projections"
)

const (
	// freshRate is how many events a second are appended while their rows are awaited.
	freshRate    = 1000
	freshWriters = 8
	// many is the larger number of projections of which a process is left idle.
	many = 10
)

// benchFreshness prints how long after an append was acknowledged its row can be read,
// and how many transactions a second projections cost that have nothing to do.
func benchFreshness(ctx context.Context, w *world, s settings, r *report) error {
	if err := freshFromLog(ctx, w, s, r); err != nil {
		return fmt.Errorf("from the log: %w", err)
	}
	if err := freshFromKafka(ctx, w, s, r); err != nil {
		return fmt.Errorf("through Kafka: %w", err)
	}
	for _, n := range []int{1, many} {
		if err := idle(ctx, w, s, r, n); err != nil {
			return fmt.Errorf("%d idle projections: %w", n, err)
		}
	}
	return nil
}

func freshFromLog(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	p := l.projector(1)
	running, stop := start(ctx, p)
	if err := p.WaitFor(running, 1); err != nil {
		return errors.Join(err, stop())
	}
	err = l.freshness(running, "append to row, from the log", s, r)
	return errors.Join(err, stop())
}

// freshFromKafka goes through a relay and the broker.
func freshFromKafka(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	l.order = projections.OneStream
	client, err := kafka.New(kafka.Config{Brokers: w.stack.Brokers()})
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("bench-fresh-%d.", os.Getpid())
	group, running := errgroup.WithContext(ctx) // when one fails, nobody waits for the other
	running, cancel := context.WithCancel(running)
	relay := outbox.New(l.store, client, "/bench", outbox.WithTopicPrefix(prefix), outbox.WithLogger(slog.New(slog.DiscardHandler)))
	p := l.projector(1, projections.FromKafka(client, projections.WithTopicPrefix(prefix), projections.WithEventSource("/bench")))
	group.Go(func() error { return relay.Run(running) })
	group.Go(func() error { return p.Run(running) })
	err = readsKafka(running, p)
	if err == nil {
		err = l.freshness(running, "append to row, through Kafka", s, r)
	}
	if err == nil {
		err = freshBare(running, client, w.stack.Brokers(), prefix+"bare", s, r)
	}
	cancel()
	return errors.Join(err, group.Wait(), client.Close())
}

// startsWithin is how long anything may take to begin, or to end.
const startsWithin = time.Minute

// readsKafka waits until the projector does not follow the log any more.
func readsKafka(ctx context.Context, p *projections.Projector) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	for {
		status, err := p.Status(ctx)
		if err != nil && !errors.Is(err, projections.ErrNotBuilt) {
			return err
		}
		if strings.HasPrefix(status.Source, "kafka") {
			return nil
		}
		if err := pause(ctx, waitPoll); err != nil {
			return fmt.Errorf("the projector reads %s: %w", status.Source, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// freshness appends for a while, each event to a stream of its own, and prints how long
// the rows took.
func (l *sales) freshness(ctx context.Context, name string, s settings, r *report) error {
	a := newAwaited(s.warm)
	group, inner := errgroup.WithContext(ctx)
	writers, inWriters := errgroup.WithContext(inner)
	for range freshWriters {
		writers.Go(func() error { return l.appendPaced(inWriters, a.from.Add(s.fresh), a) })
	}
	group.Go(func() error {
		defer a.end()
		return writers.Wait()
	})
	group.Go(func() error { return l.watch(inner, a) })
	if err := group.Wait(); err != nil {
		return err
	}
	return a.print(name, s.fresh, r)
}

// appendPaced is one writer with its share of the rate.
func (l *sales) appendPaced(ctx context.Context, until time.Time, a *awaited) error {
	ticker := time.NewTicker(freshWriters * time.Second / freshRate)
	defer ticker.Stop()
	for time.Now().Before(until) {
		stream := es.StreamID{Category: soldCategory, ID: "fresh-" + uuid.NewString()}
		event, err := l.codec().Encode(ctx, stream, sold{Customer: "customer-0000000", Cents: 1, Currency: "EUR", At: time.Now()})
		if err != nil {
			return err
		}
		if _, err := l.store.Append(ctx, stream, es.NoStream, event); err != nil {
			return err
		}
		a.add(stream.ID)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
