package kafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es/kafka"
)

func TestEnsureTopics_creates_and_can_be_repeated(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t), testContext(t)
	a, b := kafka.Topic{Name: unique("a"), Partitions: 3, Config: map[string]string{"retention.ms": "60000"}}, kafka.Topic{Name: unique("b")}
	for range 2 {
		if err := c.EnsureTopics(ctx, a, b); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Partitions(ctx, a.Name); n != 3 || err != nil {
		t.Fatalf("%d partitions, %v", n, err)
	}
	if n, err := c.Partitions(ctx, b.Name); n < 1 || err != nil {
		t.Fatalf("%d partitions by default, %v", n, err)
	}
	publish(t, newProducer(t, newClient(t)), numbered(a.Name, 100, 10)...)
	heads, err := c.Heads(ctx, a.Name)
	if err != nil || heads[0]+heads[1]+heads[2] != 100 || len(heads) != 3 {
		t.Fatalf("heads %v, %v", heads, err)
	}
	lag, err := c.Lag(ctx, unique("group"), a.Name)
	if err != nil || lag != 100 {
		t.Fatalf("lag %d, %v", lag, err)
	}
}

func TestEnsureTopics_refuses_another_number_of_partitions(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	name := newTopic(t, c, 2)
	err := c.EnsureTopics(testContext(t), kafka.Topic{Name: name, Partitions: 3})
	if !errors.Is(err, kafka.ErrPartitions) || !strings.Contains(err.Error(), "has 2 and 3 were asked for") {
		t.Fatal(err)
	}
}

func TestEnsureTopics_at_once_from_many(t *testing.T) {
	t.Parallel()
	topic := kafka.Topic{Name: unique("topic"), Partitions: 2}
	results := make(chan error, 5)
	for range cap(results) {
		c := newClient(t)
		go func() { results <- c.EnsureTopics(testContext(t), topic) }()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnknown_topic_is_said(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t), testContext(t)
	name := unique("missing")
	_, partitions := c.Partitions(ctx, name)
	_, heads := c.Heads(ctx, name)
	_, lag := c.Lag(ctx, "group", name)
	for what, err := range map[string]error{
		"partitions": partitions, "heads": heads, "lag": lag,
		"publish": newProducer(t, c).Publish(ctx, kafka.Message{Topic: name}),
		"consume": c.Consume(ctx, kafka.Group{Name: "group", Topics: []string{name}}, new(collector).collect),
	} {
		if !errors.Is(err, kafka.ErrNoTopic) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "create it") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestUnreachable_broker_is_said(t *testing.T) {
	t.Parallel()
	address := closedPort(t)
	c, err := kafka.New(kafka.Config{Brokers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx := testContext(t)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, partitions := c.Partitions(ctx, "topic")
	for what, err := range map[string]error{
		"ping": c.Ping(ctx), "partitions": partitions,
		"ensure":  c.EnsureTopics(ctx, kafka.Topic{Name: "topic"}),
		"consume": c.Consume(ctx, kafka.Group{Name: "group", Topics: []string{"topic"}}, new(collector).collect),
		"publish": newProducer(t, c).Publish(short, kafka.Message{Topic: "topic"}),
	} {
		if !errors.Is(err, kafka.ErrUnreachable) || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "check that they run") {
			t.Errorf("%s: %v", what, err)
		}
		if strings.Count(err.Error(), "kafka:") != 1 {
			t.Errorf("%s: the package's name stands %d times: %v", what, strings.Count(err.Error(), "kafka:"), err)
		}
	}
}

func TestNew_refuses_what_cannot_work(t *testing.T) {
	t.Parallel()
	for _, brokers := range [][]string{nil, {"localhost"}, {":9092"}} {
		if _, err := kafka.New(kafka.Config{Brokers: brokers}); !errors.Is(err, kafka.ErrInvalid) {
			t.Errorf("%v: %v", brokers, err)
		}
	}
	c := newClient(t)
	if err := c.Ping(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Ping(testContext(t)); !errors.Is(err, kafka.ErrClosed) {
		t.Fatal(err)
	}
}
