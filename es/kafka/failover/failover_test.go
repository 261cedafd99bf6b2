//go:build realkafka

// Package failover kills brokers of an Apache Kafka cluster of its own under load.
// It is run by make test/kafka, after what shares a cluster.
package failover_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/internal/realkafka"
)

const (
	writers    = 4
	keys       = 40 // of each writer
	partitions = 6
	patience   = 2 * time.Minute
)

// load is what is published to a topic and what two members of a group read of it.
type load struct {
	topic   string
	acked   atomic.Int64
	wanted  [writers * keys]int // how many messages of a key were acknowledged
	mu      sync.Mutex
	seen    map[string]int // the highest number of a key that was read
	read    int            // first occurrences
	repeats int
}

// write publishes numbers 0, 1, 2 … for each key until ctx ends.
func (l *load) write(ctx context.Context, t *testing.T, p *kafka.Producer, writer int) {
	for n := 0; ctx.Err() == nil; n++ {
		batch := make([]kafka.Message, keys)
		for k := range batch {
			key := writer*keys + k
			batch[k] = kafka.Message{Topic: l.topic, Key: fmt.Append(nil, key), Value: fmt.Append(nil, n)}
		}
		bounded, cancel := context.WithTimeout(t.Context(), patience)
		err := p.Publish(bounded, batch...)
		cancel()
		if err != nil {
			t.Errorf("publish: %v", err)
			return
		}
		for k := range batch {
			l.wanted[writer*keys+k] = n + 1
		}
		l.acked.Add(keys)
	}
}

// handle notes what is read: the numbers of a key must first occur one after the other.
func (l *load) handle(t *testing.T) func(context.Context, *kafka.Partition) error {
	return func(ctx context.Context, part *kafka.Partition) error {
		for {
			messages, err := part.Fetch(ctx, 100)
			if err != nil {
				return err
			}
			for _, m := range messages {
				l.note(t, m)
			}
			part.Commit(messages[len(messages)-1].Offset + 1)
		}
	}
}

func (l *load) note(t *testing.T, m kafka.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := strconv.Atoi(string(m.Value))
	next := l.seen[string(m.Key)]
	switch {
	case err != nil || n > next:
		t.Errorf("key %s: %q in partition %d at %d comes where %d should", m.Key, m.Value, m.Partition, m.Offset, next)
	case n < next:
		l.repeats++
	default:
		l.seen[string(m.Key)] = next + 1
		l.read++
	}
}

func (l *load) count() (read, repeats int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read, l.repeats
}

// Every broker in turn, so also the controller, the group's coordinator and the leader
// of each partition, is killed and comes back.
func TestKilled_brokers_lose_and_reorder_nothing(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	cluster, err := realkafka.Start(t.Context(), realkafka.Config{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	}()
	l := &load{topic: "load", seen: make(map[string]int)}
	client := newClient(t, cluster, logger)
	if err := client.EnsureTopics(t.Context(), kafka.Topic{Name: l.topic, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	var background sync.WaitGroup
	reading, stopReading := context.WithCancel(t.Context())
	defer background.Wait()
	defer stopReading()
	for range 2 {
		member := newClient(t, cluster, logger)
		background.Go(func() {
			if err := member.Consume(reading, kafka.Group{Name: "readers", Topics: []string{l.topic}}, l.handle(t)); err != nil {
				t.Errorf("consume: %v", err)
			}
		})
	}
	writing, stopWriting := context.WithCancel(t.Context())
	defer stopWriting()
	producer := client.NewProducer()
	var publishing sync.WaitGroup
	for w := range writers {
		publishing.Go(func() { l.write(writing, t, producer, w) })
	}

	l.goesOn(t, "at first")
	for broker := range cluster.Brokers() {
		if err := cluster.Kill(broker); err != nil {
			t.Fatal(err)
		}
		l.goesOn(t, fmt.Sprintf("without broker %d", broker))
		if err := cluster.Restart(t.Context(), broker); err != nil {
			t.Fatal(err)
		}
		l.goesOn(t, fmt.Sprintf("with broker %d again", broker))
	}
	stopWriting()
	publishing.Wait()
	if err := producer.Close(); err != nil {
		t.Error(err)
	}
	l.until(t, "all was read", func() bool { read, _ := l.count(); return int64(read) >= l.acked.Load() })
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, wanted := range l.wanted {
		if got := l.seen[strconv.Itoa(key)]; got != wanted {
			t.Errorf("key %d: %d messages were acknowledged and %d read", key, wanted, got)
		}
	}
	t.Logf("%d messages acknowledged, %d read, %d repeated", l.acked.Load(), l.read, l.repeats)
}

func newClient(t *testing.T, cluster *realkafka.Cluster, logger *slog.Logger) *kafka.Client {
	t.Helper()
	client, err := kafka.New(kafka.Config{Brokers: cluster.Brokers(), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// goesOn waits until more was acknowledged and read, in each partition since every
// call has messages for all of them.
func (l *load) goesOn(t *testing.T, when string) {
	t.Helper()
	begin, acked := time.Now(), l.acked.Load()
	l.until(t, "more is published "+when, func() bool { return l.acked.Load() >= acked+20*writers*keys })
	read := acked + 20*writers*keys
	l.until(t, "more is read "+when, func() bool { have, _ := l.count(); return int64(have) >= read })
	t.Logf("%s: %s", when, time.Since(begin).Round(time.Millisecond))
}

func (l *load) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			read, repeats := l.count()
			t.Fatalf("it never came to pass that %s: %d acknowledged, %d read, %d repeated", what, l.acked.Load(), read, repeats)
		}
	}
}
