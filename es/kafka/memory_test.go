package kafka_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/asof-dev/asof/es/kafka"
)

// While the brokers are away and somebody waits without an end, calls that were given
// up leave nothing behind.
func TestPublish_that_was_given_up_is_forgotten(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	topic := newTopic(t, newClient(t), 1)
	p := newProducer(t, f.client(t))
	publish(t, p, kafka.Message{Topic: topic, Value: []byte("before")})
	f.close()
	waiting, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Publish(waiting, kafka.Message{Topic: topic, Value: []byte("patient")}) }()
	eventually(t, "the patient one is tried", func() bool { return f.refused.Load() > 0 })

	left := giveUp(t, p, topic)
	eventually(t, "what was given up is forgotten", func() bool {
		runtime.GC()
		return left.Value() == nil
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// giveUp publishes with little patience and returns the message's value.
func giveUp(t *testing.T, p *kafka.Producer, topic string) weak.Pointer[[100_000]byte] {
	t.Helper()
	value := new([100_000]byte)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, kafka.Message{Topic: topic, Value: value[:]}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return weak.Make(value)
}
