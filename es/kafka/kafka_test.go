package kafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// testContext ends when the test has waited long enough.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t *testing.T) *kafka.Client {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t), Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// logger writes to the test's log.
func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func newProducer(t *testing.T, c *kafka.Client) *kafka.Producer {
	t.Helper()
	p := c.NewProducer()
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// unique is a name that no other test uses, on brokers that are kept either.
func unique(what string) string { return what + "-" + es.NewID().String() }

func newTopic(t *testing.T, c *kafka.Client, partitions int) string {
	t.Helper()
	name := unique("topic")
	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: name, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	return name
}

func publish(t *testing.T, p *kafka.Producer, messages ...kafka.Message) {
	t.Helper()
	if err := p.Publish(testContext(t), messages...); err != nil {
		t.Fatal(err)
	}
}

// numbered makes messages 0 … n-1 whose keys take turns.
func numbered(topic string, n, keys int) []kafka.Message {
	list := make([]kafka.Message, n)
	for i := range list {
		list[i] = kafka.Message{Topic: topic, Key: fmt.Appendf(nil, "k%d", i%keys), Value: fmt.Appendf(nil, "%d", i)}
	}
	return list
}

// firstOccurrences drops repetitions and returns the values of each key in order.
func firstOccurrences(messages []kafka.Message) map[string][]string {
	byKey := make(map[string][]string)
	seen := make(map[string]bool)
	for _, m := range messages {
		id := string(m.Key) + "/" + string(m.Value)
		if !seen[id] {
			seen[id] = true
			byKey[string(m.Key)] = append(byKey[string(m.Key)], string(m.Value))
		}
	}
	return byKey
}

// wantInOrder checks that first occurrences of each key are those that were
// published, in order.
func wantInOrder(t *testing.T, published, got []kafka.Message) {
	t.Helper()
	want, have := firstOccurrences(published), firstOccurrences(got)
	for key, values := range want {
		if !slices.Equal(values, have[key]) {
			t.Errorf("key %s: published %d: %s\ngot %d: %s", key, len(values), short(values), len(have[key]), short(have[key]))
		}
	}
	if len(have) > len(want) {
		t.Errorf("%d keys were published and %d read", len(want), len(have))
	}
}

func short(values []string) string {
	text := strings.Join(values, " ")
	return text[:min(len(text), 400)]
}

// readAll reads what the topic holds now, without a group.
func readAll(t *testing.T, topic string) []kafka.Message {
	t.Helper()
	c := newClient(t)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	heads, err := c.Heads(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	for _, head := range heads {
		left += head
	}
	var got collector
	if left == 0 {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		done <- c.Consume(ctx, kafka.Group{Name: unique("reader"), Topics: []string{topic}}, got.collect)
	}()
	got.wait(t, int(left))
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return got.list()
}

// eventually polls a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := testContext(t)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}
