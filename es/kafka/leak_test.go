package kafka_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/asof-dev/asof/es/kafka"
)

// Not parallel, so that what other tests run is not taken for a leak.
func TestClose_leaves_nothing_running(t *testing.T) {
	first := newClient(t) // starts the brokers
	topic := newTopic(t, first, 4)
	if err := first.Close(); err != nil { // the brokers begin a goroutine for each request of a connection
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	c := newClient(t)
	p := c.NewProducer()
	if err := p.Publish(testContext(t), numbered(topic, 100, 10)...); err != nil {
		t.Fatal(err)
	}
	var got collector
	member := consumeBy(t, c, kafka.Group{Name: unique("group"), Topics: []string{topic}}, got.collect)
	got.wait(t, 100)
	sub, err := kafka.NewSubscriber(c, kafka.SubscriberConfig{Group: unique("group")})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := sub.Subscribe(context.Background(), topic)
	if err != nil {
		t.Fatal(err)
	}
	receive(t, messages)
	member.stop()
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var left error
	defer func() {
		if t.Failed() {
			t.Log(left)
		}
	}()
	eventually(t, "all has ended, also the brokers' side of connections", func() bool {
		left = goleak.Find(before)
		return left == nil
	})
}

// Everything ends in bounded time when no broker can be reached.
func TestClose_ends_without_brokers(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	c := f.client(t)
	topic := newTopic(t, newClient(t), 2)
	publish(t, newProducer(t, newClient(t)), numbered(topic, 10, 3)...)
	p := newProducer(t, c)
	var got collector
	member := consumeBy(t, c, kafka.Group{Name: unique("group"), Topics: []string{topic}}, got.collect)
	got.wait(t, 10)
	f.close()
	ctx, cancel := context.WithCancel(t.Context())
	published := make(chan error, 1)
	go func() { published <- p.Publish(ctx, kafka.Message{Topic: topic, Key: []byte("k")}) }()
	member.stop()
	cancel()
	if err := <-published; err == nil {
		t.Error("a message was published to nowhere")
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A client that is closed too early ends what still consumes through it.
func TestConsume_ends_when_the_client_is_closed(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 2)
	assigned := make(chan struct{}, 2)
	done := make(chan error, 1)
	go func() {
		done <- c.Consume(testContext(t), kafka.Group{Name: unique("group"), Topics: []string{topic}}, func(ctx context.Context, part *kafka.Partition) error {
			assigned <- struct{}{}
			_, err := part.Fetch(ctx, 1)
			return err
		})
	}()
	<-assigned
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, kafka.ErrClosed) {
		t.Fatal(err)
	}
}
