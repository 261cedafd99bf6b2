package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
)

const (
	partitions = 6
	// publishPage is how many messages a bare producer is given at a time, as many as
	// the relay takes.
	publishPage = 5000
)

// relayBench publishes the same log round after round, each time to a new topic.
type relayBench struct {
	store   *pgstore.Store
	client  *kafka.Client
	brokers []string
	source  string
	events  int
	topics  int
}

// benchRelay compares the relay, from its start until Kafka has acknowledged the
// last event of the log, with kafka-go's Writer: once with the same messages ready
// in memory, and once scanning the table for them, which is what moving them takes.
// Neither keeps an order through a failure, a checkpoint or a lease.
func benchRelay(ctx context.Context, w *world, s settings, r *report) error {
	store, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	if err := fill(ctx, store, s.events, someMetadata()); err != nil {
		return err
	}
	brokers := w.stack.Brokers()
	client, err := kafka.New(kafka.Config{Brokers: brokers})
	if err != nil {
		return err
	}
	b := &relayBench{store: store, client: client, brokers: brokers, source: "/bench", events: s.events / streamLength * streamLength}
	ready, err := b.messages(ctx)
	if err == nil {
		err = r.compare(ctx, "log to Kafka",
			side{name: "asof", run: b.relay},
			side{name: "bare producer", run: func(ctx context.Context) (done, error) { return b.produce(ctx, ready) }})
	}
	if err == nil {
		err = r.compare(ctx, "log to Kafka",
			side{name: "asof", run: b.relay},
			side{name: "bare scan and producer", run: b.scanAndProduce})
	}
	return errors.Join(err, client.Close())
}

// messages are those that the relay makes.
func (b *relayBench) messages(ctx context.Context) ([]kafka.Message, error) {
	var all []kafka.Message
	var after es.Position
	for {
		events, err := b.store.Read(ctx, after, readPage)
		if err != nil || len(events) == 0 {
			return all, err
		}
		for _, e := range events {
			all = append(all, kafka.FromEvent(b.source, "", e))
		}
		after = events[len(events)-1].Position
	}
}

// topic makes a new topic and returns what stands before the category in its name.
func (b *relayBench) topic(ctx context.Context) (prefix, topic string, err error) {
	b.topics++
	prefix = fmt.Sprintf("bench-%d-%d.", os.Getpid(), b.topics)
	topic = prefix + "bench"
	return prefix, topic, b.client.EnsureTopics(ctx, kafka.Topic{Name: topic, Partitions: partitions})
}

func (b *relayBench) relay(ctx context.Context) (done, error) {
	prefix, topic, err := b.topic(ctx)
	if err != nil {
		return done{}, err
	}
	if err := outbox.Repair(ctx, b.store, 0); err != nil { // publish all again
		return done{}, err
	}
	relay := outbox.New(b.store, b.client, b.source, outbox.WithTopicPrefix(prefix), outbox.WithLogger(slog.New(slog.DiscardHandler)))
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- relay.Run(running) }()
	if err := b.arrived(ctx, topic); err != nil {
		return done{}, err
	}
	took := time.Since(began)
	stop()
	return done{events: b.events, took: took}, <-ended
}

// arrived waits until the topic has every event.
func (b *relayBench) arrived(ctx context.Context, topic string) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		heads, err := b.client.Heads(ctx, topic)
		if err != nil {
			return err
		}
		total := 0
		for _, head := range heads {
			total += int(head)
		}
		if total >= b.events {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// writer has a transport of its own, as the shared one does not hear of new topics
// for seconds.
func (b *relayBench) writer(topic string) *kafkago.Writer {
	return &kafkago.Writer{
		Transport: &kafkago.Transport{}, Addr: kafkago.TCP(b.brokers...), Topic: topic, Balancer: kafkago.Murmur2Balancer{Consistent: true},
		RequiredAcks: kafkago.RequireAll, BatchSize: 1000, BatchBytes: 1_000_000, BatchTimeout: 2 * time.Millisecond,
	}
}

func (b *relayBench) produce(ctx context.Context, ready []kafka.Message) (done, error) {
	_, topic, err := b.topic(ctx)
	if err != nil {
		return done{}, err
	}
	writer := b.writer(topic)
	began := time.Now()
	for first := 0; first < len(ready); first += publishPage {
		if err := writer.WriteMessages(ctx, bare(ready[first:min(first+publishPage, len(ready))])...); err != nil {
			return done{}, errors.Join(err, writer.Close())
		}
	}
	d, _ := since(len(ready), began, nil)
	return d, writer.Close()
}

func bare(messages []kafka.Message) []kafkago.Message {
	list := make([]kafkago.Message, len(messages))
	for i, m := range messages {
		headers := make([]kafkago.Header, len(m.Headers))
		for j, h := range m.Headers {
			headers[j] = kafkago.Header(h)
		}
		list[i] = kafkago.Message{Key: m.Key, Value: m.Value, Headers: headers}
	}
	return list
}

// scanAndProduce is the shortest program that moves the log.
func (b *relayBench) scanAndProduce(ctx context.Context) (done, error) {
	_, topic, err := b.topic(ctx)
	if err != nil {
		return done{}, err
	}
	writer := b.writer(topic)
	began := time.Now()
	var page []kafka.Message
	flush := func() error {
		err := writer.WriteMessages(ctx, bare(page)...)
		page = page[:0]
		return err
	}
	n, err := scan(ctx, b.store, func(e es.RecordedEvent) error {
		if page = append(page, kafka.FromEvent(b.source, "", e)); len(page) < publishPage {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	d, err := since(n, began, err)
	return d, errors.Join(err, writer.Close())
}
