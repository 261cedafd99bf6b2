package outbox_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
)

func TestTopics_are_made_as_stated_and_recorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 1)
	w.append("product", "1", 1)
	start(t, w.relay(outbox.WithPartitions(4), outbox.WithPartitions(2, "product")))
	w.wait()
	for category, want := range map[string]int{"order": 4, "product": 2} {
		topic := w.prefix + category
		if n, err := w.client.Partitions(t.Context(), topic); err != nil || n != want {
			t.Errorf("%s has %d partitions, %v", topic, n, err)
		}
		var recorded int
		if err := w.pool.QueryRow(t.Context(), `select partitions from asof.relay_topics where topic = $1`, topic).Scan(&recorded); err != nil || recorded != want {
			t.Errorf("%s is recorded with %d, %v", topic, recorded, err)
		}
	}
}

func TestAnother_number_of_partitions_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("order", "1", 1)
	stop := start(t, w.relay())
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	position := w.status().Position
	w.append("order", "1", 1)

	// The options say another number than the topic was made with.
	err := w.refused(true, w.store, outbox.WithPartitions(5))
	if !errors.Is(err, outbox.ErrPartitions) || !strings.Contains(err.Error(), `WithPartitions(3, "order")`) {
		t.Fatal(err)
	}
	if s := w.status(); s.Position != position || !strings.Contains(s.Failure, "WithPartitions") || s.Leader != "" {
		t.Fatal(s)
	}

	// Somebody made the topic before the relay did.
	if err := w.client.EnsureTopics(t.Context(), kafka.Topic{Name: w.prefix + "product", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	w.append("product", "1", 1)
	err = w.refused(true, w.store)
	if !errors.Is(err, outbox.ErrPartitions) || !errors.Is(err, kafka.ErrPartitions) || !strings.Contains(err.Error(), w.prefix+"product") {
		t.Fatal(err)
	}

	start(t, w.relay(outbox.WithPartitions(2, "product")))
	w.wait()
	if s := w.status(); s.Failure != "" { // though the lease was not renewed yet
		t.Error(s)
	}
	w.verify("order")
	w.verify("product")
}

// Somebody gives the topic more partitions while the relay runs: keys stay where they
// are, and the next relay says what is wrong.
func TestPartitions_added_underway_move_no_key(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("order", 20, 10)
	stop := start(t, w.relay())
	w.wait()
	topic := w.prefix + "order"
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	admin := &kafkago.Client{Addr: kafkago.TCP(w.brokers...), Transport: transport}
	answer, err := admin.CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: topic, Count: 7}}})
	if err != nil || answer.Errors[topic] != nil {
		t.Fatal(err, answer)
	}
	w.until("the new partitions to be known", func() bool {
		n, err := w.client.Partitions(t.Context(), topic)
		return err == nil && n == 7
	})
	w.fill("order", 20, 10)
	w.wait()
	w.verify("order")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.append("order", "1", 1)
	if err := w.refused(true, w.store); !errors.Is(err, outbox.ErrPartitions) {
		t.Fatal(err)
	}
}

// What the broker will never take stops the relay before it, with a word why.
func TestEvent_that_the_broker_refuses_stops_the_relay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	topic := kafka.Topic{Name: w.prefix + "order", Partitions: 3, Config: map[string]string{"max.message.bytes": "2000"}}
	if err := w.client.EnsureTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	last := w.append("order", "1", 3)
	stop := start(t, w.relay())
	w.wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	large := es.EventData{ID: es.NewID(), Type: "test.large", Data: []byte(`"` + strings.Repeat("x", 5000) + `"`)}
	if _, err := w.store.Append(t.Context(), es.StreamID{Category: "order", ID: "1"}, es.Any, large); err != nil {
		t.Fatal(err)
	}
	if err := w.refused(true, w.store); !errors.Is(err, kafka.ErrTooLarge) {
		t.Fatal(err)
	}
	if s := w.status(); s.Position != last || s.Failure == "" || s.Lag != 1 {
		t.Fatal(s)
	}
}

// Somebody deletes a topic while the relay runs: it is made again, as it was, and the
// topics of other categories are not held up for ever.
func TestDeleted_topic_is_made_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("order", 5, 10)
	w.append("product", "1", 1)
	start(t, w.relay())
	w.wait()
	w.deleteTopic("order")
	w.append("order", "new", 3)
	w.append("product", "1", 1)
	w.wait()
	topic := w.prefix + "order"
	if n, err := w.client.Partitions(t.Context(), topic); err != nil || n != 3 {
		t.Fatalf("%d partitions, %v", n, err)
	}
	w.verify("product")
	var got []int
	for _, messages := range w.published(topic) {
		for _, m := range messages {
			got = append(got, int(w.eventOf(m).Version))
		}
	}
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Fatalf("versions %d are published", got)
	}
}

func TestDeleted_topic_that_another_made_otherwise_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill("order", 5, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.relay().Run(ctx) }()
	w.wait()
	w.deleteTopic("order")
	if err := w.client.EnsureTopics(t.Context(), kafka.Topic{Name: w.prefix + "order", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	w.fill("order", 20, 1) // to all partitions
	select {
	case err := <-done:
		if !errors.Is(err, outbox.ErrPartitions) {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatalf("the relay does not see it: %s", w.status())
	}
}

func (w *world) deleteTopic(category string) {
	w.Helper()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	admin := &kafkago.Client{Addr: kafkago.TCP(w.brokers...), Transport: transport}
	topic := w.prefix + category
	answer, err := admin.DeleteTopics(w.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || answer.Errors[topic] != nil {
		w.Fatal(err, answer)
	}
	w.until("the topic to be gone", func() bool {
		_, err := w.client.Partitions(w.Context(), topic)
		return errors.Is(err, kafka.ErrNoTopic)
	})
}
