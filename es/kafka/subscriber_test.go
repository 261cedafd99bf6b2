package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

func newSubscriber(t *testing.T, c *kafka.Client, config kafka.SubscriberConfig) *kafka.Subscriber {
	t.Helper()
	s, err := kafka.NewSubscriber(c, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func receive(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, ok := <-messages:
		if ok {
			return m
		}
		t.Fatal("the channel was closed")
	case <-testContext(t).Done():
		t.Fatal("no message came")
	}
	return nil
}

func TestEventOf_returns_the_published_event(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	prefix, category := unique("prefix")+".", "account"
	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: prefix + category, Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	want := es.RecordedEvent{
		Recorded: es.Recorded{
			ID: es.NewID(), Type: "opened", Schema: 1, Stream: es.StreamID{Category: category, ID: "a-1"}, Version: 1, Position: 7,
			RecordedAt: time.Now().UTC().Truncate(time.Microsecond), Metadata: es.Metadata{CorrelationID: "c", Extra: map[string]string{"tenant": "blue"}},
		},
		ContentType: es.JSONContentType, Data: []byte(`{}`),
	}
	publish(t, newProducer(t, c), kafka.FromEvent("/accounts", prefix+category, want))
	messages, err := newSubscriber(t, c, kafka.SubscriberConfig{Group: unique("group"), TopicPrefix: prefix}).Subscribe(t.Context(), category)
	if err != nil {
		t.Fatal(err)
	}
	m := receive(t, messages)
	got, err := kafka.EventOf(m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if id := kafka.MessageID(m); id != "ce:9:/accounts:"+want.ID.String() || m.UUID != want.ID.String() {
		t.Errorf("id %s, uuid %s", id, m.UUID)
	}
	if m.Metadata[kafka.MetadataTopic] != category || m.Metadata[kafka.MetadataKey] != "a-1" || m.Metadata[kafka.MetadataOffset] != "0" || m.Metadata[kafka.MetadataPartition] == "" {
		t.Errorf("%v", m.Metadata)
	}
	m.Ack()
}

// A message that is published again, as one to a dead letter topic is, keeps its key
// and its headers, and says where it lies now.
func TestPublisher_publishes_a_received_message_again(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	from, to := newTopic(t, c, 4), newTopic(t, c, 4)
	pub, err := kafka.NewPublisher(c, kafka.PublisherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pub.Close() }()
	original := message.NewMessage(watermill.NewUUID(), []byte("payload"))
	original.Metadata.Set(kafka.MetadataKey, "k-1")
	original.Metadata.Set("tenant", "blue")
	for range 2 { // so that its offset differs
		if err := pub.Publish(from, original.Copy()); err != nil {
			t.Fatal(err)
		}
	}
	sub := newSubscriber(t, c, kafka.SubscriberConfig{Group: unique("group")})
	first, err := sub.Subscribe(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	receive(t, first).Ack()
	second := receive(t, first)
	if err := pub.Publish(to, second); err != nil {
		t.Fatal(err)
	}
	second.Ack()
	again, err := sub.Subscribe(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	m := receive(t, again)
	if m.UUID != original.UUID || kafka.MessageID(m) != "uuid:"+original.UUID || string(m.Payload) != "payload" || m.Metadata["tenant"] != "blue" ||
		m.Metadata[kafka.MetadataKey] != "k-1" || m.Metadata[kafka.MetadataTopic] != to || m.Metadata[kafka.MetadataOffset] != "0" {
		t.Errorf("%s %v", m.UUID, m.Metadata)
	}
	if _, err := kafka.EventOf(m); !errors.Is(err, kafka.ErrNotAnEvent) {
		t.Error(err)
	}
	m.Ack()
}

// A message that is under way when its partition goes to another member is dropped
// and delivered there.
func TestSubscriber_drops_what_is_unacknowledged_when_it_leaves(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	publish(t, newProducer(t, c), numbered(topic, 3, 1)...)
	config := kafka.SubscriberConfig{Group: unique("group")}
	leaving := newSubscriber(t, c, config)
	messages, err := leaving.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	receive(t, messages).Ack()
	dropped := receive(t, messages)
	for range 2 {
		if err := leaving.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := context.Cause(dropped.Context()); err == nil {
		t.Error("the context of the dropped message goes on")
	}
	dropped.Ack() // too late
	if _, err := leaving.Subscribe(t.Context(), topic); !errors.Is(err, kafka.ErrClosed) {
		t.Error(err)
	}
	rest, err := newSubscriber(t, c, config).Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1", "2"} {
		m := receive(t, rest)
		if string(m.Payload) != want {
			t.Fatalf("message %s instead of %s", m.Payload, want)
		}
		m.Ack()
	}
}
