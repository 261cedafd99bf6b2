package kafka_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/asof-dev/asof/es/kafka"
)

func TestRange_gives_the_messages_between_two_offsets(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	topic := unique("range")
	if err := client.Range(t.Context(), topic, 0, 0, 10, nil); !errors.Is(err, kafka.ErrNoTopic) {
		t.Errorf("without a topic: %v", err)
	}
	if err := client.EnsureTopics(t.Context(), kafka.Topic{Name: topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	producer := client.NewProducer()
	defer producer.Close()
	const sent = 30
	for i := range sent {
		if err := producer.Publish(t.Context(), kafka.Message{Topic: topic, Key: []byte("k"), Value: []byte(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range [][4]int64{{0, sent, 0, sent}, {7, 12, 7, 12}, {29, 99, 29, sent}, {30, 40, 0, 0}, {5, 5, 0, 0}, {6, 2, 0, 0}} {
		next := r[2]
		err := client.Range(t.Context(), topic, 0, r[0], r[1], func(messages []kafka.Message) error {
			for _, m := range messages {
				if m.Offset != next || string(m.Value) != fmt.Sprint(next) {
					t.Errorf("%v: %s at offset %d, want %d", r, m.Value, m.Offset, next)
				}
				next++
			}
			return nil
		})
		if err != nil || next != r[3] {
			t.Errorf("%v: up to %d, %v", r, next, err)
		}
	}
	enough := errors.New("enough")
	if err := client.Range(t.Context(), topic, 0, 0, sent, func([]kafka.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	deleteBefore(t, topic, 10)
	if tails, err := client.Tails(t.Context(), topic); err != nil || tails[0] != 10 {
		t.Fatalf("%v, %v", tails, err)
	}
	if err := client.Range(t.Context(), topic, 0, 9, 12, func([]kafka.Message) error { return nil }); !errors.Is(err, kafka.ErrGone) {
		t.Errorf("what is not kept: %v", err)
	}
}

func TestCompacted_tells_how_a_topic_is_cleaned(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	for policy, want := range map[string]bool{"delete": false, "compact": true, "compact,delete": true} {
		topic := unique("cleaned")
		if err := client.EnsureTopics(t.Context(), kafka.Topic{Name: topic, Partitions: 1, Config: map[string]string{"cleanup.policy": policy}}); err != nil {
			t.Fatal(err)
		}
		if got, err := client.Compacted(t.Context(), topic); err != nil || got != want {
			t.Errorf("%s: %v, %v", policy, got, err)
		}
	}
	topic := unique("default")
	if err := client.EnsureTopics(t.Context(), kafka.Topic{Name: topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Compacted(t.Context(), topic); err != nil || got {
		t.Errorf("by default: %v, %v", got, err)
	}
}
