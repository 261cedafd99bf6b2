package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es/kafka"
)

// freshBare prints how long a message takes from a bare producer to a bare reader, at the rate
// of the appends: what the brokers alone take.
func freshBare(ctx context.Context, client *kafka.Client, brokers []string, topic string, s settings, r *report) error {
	if err := client.EnsureTopics(ctx, kafka.Topic{Name: topic, Partitions: 1}); err != nil {
		return err
	}
	writer := &kafkago.Writer{Addr: kafkago.TCP(brokers...), Topic: topic, RequiredAcks: kafkago.RequireAll, BatchTimeout: time.Millisecond}
	reader := kafkago.NewReader(kafkago.ReaderConfig{Brokers: brokers, Topic: topic, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second})
	a := newAwaited(s.warm)
	group, inner := errgroup.WithContext(ctx)
	writers, inWriters := errgroup.WithContext(inner)
	for range freshWriters {
		writers.Go(func() error { return producePaced(inWriters, writer, a) })
	}
	until := time.AfterFunc(time.Until(a.from.Add(s.fresh)), a.end)
	defer until.Stop()
	group.Go(writers.Wait)
	group.Go(func() error { return readAwaited(inner, reader, a) })
	err := errors.Join(group.Wait(), writer.Close(), reader.Close())
	if err != nil {
		return err
	}
	return a.print("bare producer to bare reader", s.fresh, r)
}

// producePaced is one writer with its share of the rate, until no more is awaited.
func producePaced(ctx context.Context, writer *kafkago.Writer, a *awaited) error {
	ticker := time.NewTicker(freshWriters * time.Second / freshRate)
	defer ticker.Stop()
	sending := errgroup.Group{}
	for !a.over() {
		key := uuid.NewString()
		a.add(key)
		sending.Go(func() error {
			return writer.WriteMessages(ctx, kafkago.Message{Key: []byte(key), Value: payload()})
		})
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return sending.Wait()
}

// readAwaited reads until all has come.
func readAwaited(ctx context.Context, reader *kafkago.Reader, a *awaited) error {
	for {
		if _, over := a.keys(); over {
			return nil
		}
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		m, err := reader.ReadMessage(bounded)
		cancel()
		switch {
		case err == nil:
			a.seen([]string{string(m.Key)}, time.Now())
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		}
	}
}
