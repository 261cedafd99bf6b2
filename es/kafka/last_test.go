package kafka_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/asof-dev/asof/es/kafka"
)

// The newest message of each partition, of those that have one.
func TestLast_returns_the_newest_message_of_each_partition(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	topic := unique("last")
	if _, err := client.Last(t.Context(), topic); !errors.Is(err, kafka.ErrNoTopic) {
		t.Errorf("without a topic: %v", err)
	}
	if err := client.EnsureTopics(t.Context(), kafka.Topic{Name: topic, Partitions: 12}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Last(t.Context(), topic); err != nil || len(got) != 0 {
		t.Errorf("an empty topic: %v, %v", got, err)
	}
	producer := client.NewProducer()
	defer producer.Close()
	newest := map[string]string{}
	for i := range 200 {
		key := fmt.Sprint("k", i%7)
		newest[key] = fmt.Sprint(i)
		if err := producer.Publish(t.Context(), kafka.Message{Topic: topic, Key: []byte(key), Value: []byte(newest[key])}); err != nil {
			t.Fatal(err)
		}
	}
	heads, err := client.Heads(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Last(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	full := 0
	for _, head := range heads {
		if head > 0 {
			full++
		}
	}
	if len(got) != full {
		t.Errorf("%d messages of %d partitions that have some", len(got), full)
	}
	for _, m := range got {
		if m.Offset != heads[m.Partition]-1 || newest[string(m.Key)] != string(m.Value) {
			t.Errorf("partition %d: %s=%s at offset %d of %d", m.Partition, m.Key, m.Value, m.Offset, heads[m.Partition])
		}
	}
}
