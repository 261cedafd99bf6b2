package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/projections"
)

const (
	// slowApply is how long Apply sleeps in the section lanes.
	slowApply = 100 * time.Microsecond
	// laneShare is the part of the other sections' events that are applied in a round of it,
	// and laneStreams have them.
	laneShare, laneStreams = 20, 1000
	// rebalanced is how long the members of a group may take to share the partitions.
	rebalanced = 4 * time.Second
)

// benchLanes compares two projectors that share the two partitions of a topic, as two
// processes do, with one that reads both, where Apply sleeps.
func benchLanes(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	l.order, l.streams = projections.OneStream, laneStreams
	change := l.change
	l.change = func(row *sale, e sold) {
		_ = pause(ctx, slowApply)
		change(row, e)
	}
	client, err := kafka.New(kafka.Config{Brokers: w.stack.Brokers()})
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("bench-lanes-%d.", os.Getpid())
	relay := outbox.New(l.store, client, "/bench", outbox.WithTopicPrefix(prefix), outbox.WithPartitions(2), outbox.WithLogger(slog.New(slog.DiscardHandler)))
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(running) }()
	in := lanes{sales: l, client: client, prefix: prefix, events: max(s.projected/laneShare, 1), settle: min(rebalanced, s.fresh)}
	err = r.slower().compare(ctx, "two lanes",
		side{name: "two", run: func(ctx context.Context) (done, error) { return in.run(ctx, 2) }},
		side{name: "one process", run: func(ctx context.Context) (done, error) { return in.run(ctx, 1) }})
	cancel()
	if err := errors.Join(err, <-ended, client.Close()); err != nil {
		return err
	}
	return benchRowsAtOnce(ctx, w, s, r)
}

// benchRowsAtOnce compares a projector that follows the log and calls an Apply that sleeps for
// several rows at once with one that calls it for one.
func benchRowsAtOnce(ctx context.Context, w *world, s settings, r *report) error {
	l, err := w.sales(ctx)
	if err != nil {
		return err
	}
	defer l.store.Pool().Close()
	l.streams = laneStreams
	change := l.change
	l.change = func(row *sale, e sold) {
		_ = pause(ctx, slowApply)
		change(row, e)
	}
	events := max(s.projected/laneShare, 1)
	follow := func(ctx context.Context, options ...projections.Option) (done, error) {
		p := l.projector(1, options...)
		running, stop := start(ctx, p)
		if err := p.WaitFor(running, 1); err != nil {
			return done{}, errors.Join(err, stop())
		}
		began := time.Now()
		if err := l.load(running, events); err != nil {
			return done{}, errors.Join(err, stop())
		}
		var position int64
		if err := l.store.Pool().QueryRow(ctx, `select max(position) from asof.events`).Scan(&position); err != nil {
			return done{}, errors.Join(err, stop())
		}
		err := p.WaitFor(running, es.Position(position))
		return done{events: events, took: time.Since(began)}, errors.Join(err, stop())
	}
	return r.slower().compare(ctx, "rows at once",
		side{name: "several", run: func(ctx context.Context) (done, error) { return follow(ctx) }},
		side{name: "one", run: func(ctx context.Context) (done, error) { return follow(ctx, projections.WithConcurrency(1)) }})
}

// lanes are what both sides read.
type lanes struct {
	*sales
	client *kafka.Client
	prefix string
	events int
	settle time.Duration
}

// run appends events when so many projectors read all partitions, and waits until they are
// applied.
func (l *lanes) run(ctx context.Context, projectors int) (done, error) {
	group, running := errgroup.WithContext(ctx)
	running, cancel := context.WithCancel(running)
	list := make([]*projections.Projector, projectors)
	for i := range list {
		list[i] = l.projector(1, projections.FromKafka(l.client, projections.WithTopicPrefix(l.prefix), projections.WithEventSource("/bench"), projections.WithLogCheck(time.Hour)),
			projections.WithConcurrency(1))
		group.Go(func() error { return list[i].Run(running) })
	}
	took, err := l.apply(running, list)
	cancel()
	return done{events: l.events, took: took}, errors.Join(err, group.Wait())
}

func (l *lanes) apply(ctx context.Context, list []*projections.Projector) (time.Duration, error) {
	for _, p := range list {
		if err := readsKafka(ctx, p); err != nil {
			return 0, err
		}
	}
	if err := pause(ctx, l.settle); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := l.load(ctx, l.events); err != nil {
		return 0, err
	}
	var position int64
	if err := l.store.Pool().QueryRow(ctx, `select max(position) from asof.events`).Scan(&position); err != nil {
		return 0, err
	}
	err := list[0].WaitFor(ctx, es.Position(position))
	return time.Since(began), err
}
