package main

import (
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// TestTopic_that_lacks_or_reorders_events_is_seen publishes by hand what a wrong relay
// would.
func TestTopic_that_lacks_or_reorders_events_is_seen(t *testing.T) {
	t.Parallel()
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	good := shipped(t)
	for what, test := range map[string]struct {
		order   []int
		repeats int
		seen    string
	}{
		"all":      {[]int{0, 1, 2, 3}, 0, ""},
		"repeated": {[]int{0, 1, 0, 1, 2, 3}, 2, ""},
		"lost":     {[]int{0, 1, 2}, 0, "was not published"},
		"swapped":  {[]int{0, 2, 1, 3}, 0, "comes after"},
	} {
		topic := strings.ReplaceAll("demo-"+what+"-"+es.NewID().String(), " ", "-")
		if err := client.EnsureTopics(t.Context(), kafka.Topic{Name: topic, Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		producer := client.NewProducer()
		for _, i := range test.order {
			e := good[i]
			e.ID, e.Stream.Category = es.NewID(), topic
			if err := producer.Publish(t.Context(), kafka.FromEvent("/demo", topic, e)); err != nil {
				t.Fatal(err)
			}
		}
		log := make([]es.RecordedEvent, len(good))
		for i, e := range good {
			e.Stream.Category = topic
			log[i] = e
		}
		messages, repeats, err := published(t.Context(), client, topic, log)
		switch {
		case test.seen == "" && (err != nil || messages != len(test.order) || repeats != test.repeats):
			t.Errorf("%s: %d messages, %d repeats, %v", what, messages, repeats, err)
		case test.seen != "" && (err == nil || !strings.Contains(err.Error(), test.seen)):
			t.Errorf("%s: not seen: %v", what, err)
		}
		if err := producer.Close(); err != nil {
			t.Error(err)
		}
	}
}
