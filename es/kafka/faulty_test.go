package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/kafka"
)

// Connections break before, in and after requests while several callers publish.
func TestPublish_keeps_the_order_of_keys_while_connections_break(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	topic := newTopic(t, newClient(t), 3)
	p := newProducer(t, f.client(t))
	const writers, calls, each = 6, 40, 5
	var mu sync.Mutex
	var published []kafka.Message
	var group sync.WaitGroup
	f.odds.Store(25)
	for w := range writers {
		group.Go(func() {
			for call := range calls {
				list := make([]kafka.Message, each)
				for i := range list {
					list[i] = kafka.Message{Topic: topic, Key: fmt.Appendf(nil, "w%d-%d", w, i%2), Value: fmt.Appendf(nil, "%d", call*each+i)}
				}
				if err := p.Publish(testContext(t), list...); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				published = append(published, list...)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	f.odds.Store(0)
	if f.cuts.Load() == 0 {
		t.Fatal("no connection was cut, so the test shows nothing")
	}
	got := readAll(t, topic)
	t.Logf("%d cuts, %d messages published, %d written", f.cuts.Load(), len(published), len(got))
	wantInOrder(t, published, got)
}

// A call that takes several requests in each partition.
func TestPublish_keeps_the_order_of_a_large_call_while_connections_break(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	topic := newTopic(t, newClient(t), 2)
	p := newProducer(t, f.client(t))
	publish(t, p, kafka.Message{Topic: topic, Key: []byte("first")})
	f.odds.Store(150)
	padding := strings.Repeat(".", 40_000)
	published := []kafka.Message{{Topic: topic, Key: []byte("first")}}
	for f.cuts.Load() < 10 {
		list := numbered(topic, 100, 4)
		for i := range list {
			list[i].Value = fmt.Appendf(nil, "%d%s", len(published)+i, padding)
		}
		publish(t, p, list...)
		published = append(published, list...)
	}
	f.odds.Store(0)
	got := readAll(t, topic)
	t.Logf("%d cuts, %d messages published, %d written", f.cuts.Load(), len(published), len(got))
	wantInOrder(t, published, got)
}

func TestConsume_loses_nothing_while_connections_break(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	topic := newTopic(t, newClient(t), 4)
	p := newProducer(t, newClient(t))
	var got collector
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	client := f.client(t)
	go func() { done <- client.Consume(ctx, group, got.collect) }()
	published := numbered(topic, 20, 20)
	publish(t, p, published...)
	got.wait(t, len(published))
	f.odds.Store(40)
	for f.cuts.Load() < 20 { // joining, fetching, committing
		list := numbered(topic, 400, 20)
		for i := range list {
			list[i].Value = fmt.Appendf(nil, "%d", len(published)+i)
		}
		publish(t, p, list...)
		published = append(published, list...)
		got.wait(t, len(published))
	}
	f.odds.Store(0)
	f.close() // nobody can be reached for a moment
	list := numbered(topic, 50, 20)
	for i := range list {
		list[i].Value = fmt.Appendf(nil, "%d", len(published)+i)
	}
	publish(t, p, list...)
	f.open()
	published = append(published, list...)
	got.wait(t, len(published))
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantInOrder(t, published, got.list())
}

// A stopped broker accepts connections and does not answer.
func TestFrozen_broker_holds_up_only_its_partitions(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	c := f.client(t)
	topic := newTopic(t, newClient(t), 6)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	p := newProducer(t, newClient(t))
	var got collector
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Consume(ctx, group, got.collect) }()
	first := numbered(topic, 60, 60)
	publish(t, p, first...)
	got.wait(t, len(first))

	frozen, held := otherLeader(t, group.Name, topic)
	f.freeze(frozen, true)
	second := numbered(topic, 60, 60)
	publish(t, p, second...)
	free := 0
	for _, m := range second {
		if !held[kafka.KeyPartition(m.Key, 6)] {
			free++
		}
	}
	got.wait(t, len(first)+free)
	eventually(t, "connections to the frozen broker are given up", func() bool { return f.dials(frozen) > 3 })
	f.freeze(frozen, false)
	got.wait(t, len(first)+len(second))
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// otherLeader is a broker that leads partitions of the topic and is not the group's
// coordinator, and which partitions it leads.
func otherLeader(t *testing.T, group, topic string) (address string, partitions map[int]bool) {
	t.Helper()
	admin := &kafkago.Client{Addr: kafkago.TCP(embeddedtest.Brokers(t)...)}
	coordinator, err := admin.FindCoordinator(testContext(t), &kafkago.FindCoordinatorRequest{Key: group, KeyType: kafkago.CoordinatorKeyTypeConsumer})
	if err != nil {
		t.Fatal(err)
	}
	found, err := admin.Metadata(testContext(t), &kafkago.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	partitions = make(map[int]bool)
	for _, p := range found.Topics[0].Partitions {
		if leader := net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port)); p.Leader.ID != coordinator.Coordinator.NodeID && (address == "" || address == leader) {
			address, partitions[p.ID] = leader, true
		}
	}
	return address, partitions
}

func TestPublish_ends_with_its_context(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	topic := newTopic(t, newClient(t), 1)
	p := newProducer(t, f.client(t))
	publish(t, p, kafka.Message{Topic: topic, Value: []byte("before")})
	f.close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := p.Publish(ctx, kafka.Message{Topic: topic, Value: []byte("lost")}, kafka.Message{Topic: topic})
	var failed *kafka.PublishError
	if !errors.As(err, &failed) || len(failed.Errors) != 2 || failed.Errors[0] == nil || failed.Errors[1] == nil {
		t.Fatalf("%#v", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, kafka.ErrUnreachable) {
		t.Fatal(err)
	}
	f.open()
	publish(t, p, kafka.Message{Topic: topic, Value: []byte("after")})
	values := make([]string, 0, 2)
	for _, m := range readAll(t, topic) {
		values = append(values, string(m.Value))
	}
	if text := strings.Join(values, " "); text != "before after" {
		t.Fatal(text)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), kafka.Message{Topic: topic}); !errors.Is(err, kafka.ErrClosed) {
		t.Fatal(err)
	}
}

// Twice the network is gone while messages are published and handled.
func TestSubscriber_goes_on_after_the_network_was_gone(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	c := f.client(t)
	topic := newTopic(t, newClient(t), 8)
	pub, err := kafka.NewPublisher(c, kafka.PublisherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pub.Close() }()
	messages, err := newSubscriber(t, c, kafka.SubscriberConfig{Group: unique("group")}).Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 20, 100
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if err := pub.Publish(topic, message.NewMessage(fmt.Sprint(w, "-", i), nil)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	seen := make(map[string]bool)
	for len(seen) < writers*each {
		m := receive(t, messages)
		if seen[m.UUID] = true; len(seen) == writers*each/3 || len(seen) == writers*each/2 {
			f.close()
			f.open()
		}
		m.Ack()
	}
	group.Wait()
}
