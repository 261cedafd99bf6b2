package kafka_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/kafka"
)

// counter is a logger that counts the messages with a text.
type counter struct {
	slog.Handler
	text string
	n    *atomic.Int64
}

func (c counter) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, c.text) {
		c.n.Add(1)
	}
	return c.Handler.Handle(ctx, r)
}

// A group of two topics, one of which is deleted and made again. The other is read all
// the while, also by members that come meanwhile, and the group is not joined again and
// again.
func TestConsume_goes_on_while_one_of_its_topics_is_deleted(t *testing.T) {
	t.Parallel()
	all := slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})
	joins, waits := counter{Handler: all, text: "joined", n: new(atomic.Int64)}, new(atomic.Int64)
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t), Logger: slog.New(counter{Handler: joins, text: "waits for its topics", n: waits})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c := newClient(t)
	kept, gone := newTopic(t, c, 2), newTopic(t, c, 2)
	p := newProducer(t, c)
	publish(t, p, append(numbered(kept, 10, 3), numbered(gone, 10, 3)...)...)
	var got collector
	group := kafka.Group{Name: unique("group"), Topics: []string{kept, gone}}
	member := consumeBy(t, client, group, got.collect)
	got.wait(t, 20)

	deleteTopic(t, gone) // while its commits are perhaps not written yet
	other := consume(t, kafka.Group{Name: group.Name, Topics: []string{kept}}, got.collect)
	eventually(t, "the group says that it waits", func() bool { return waits.Load() > 0 })
	begin, before := time.Now(), joins.n.Load()
	publish(t, p, numbered(kept, 10, 3)...)
	eventually(t, "the topic that is kept is read", func() bool { return len(of(kept, got.list())) >= 20 })
	eventually(t, "a while has passed", func() bool { return time.Since(begin) > 3*time.Second })
	if n := joins.n.Load() - before; n > 1 { // when the other member came
		t.Errorf("the group was joined %d times in %s", n, time.Since(begin))
	}

	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: gone, Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	publish(t, p, numbered(kept, 10, 3)...)
	publish(t, p, numbered(gone, 10, 10)...)
	eventually(t, "both topics are read again", func() bool { return len(of(kept, got.list())) >= 30 && len(of(gone, got.list())) >= 20 })
	member.stop()
	other.stop()
}

func deleteTopic(t *testing.T, topic string) {
	t.Helper()
	deleteTopicOf(t, admin(t), topic)
}

func deleteTopicOf(t *testing.T, client *kafkago.Client, topic string) {
	t.Helper()
	answer, err := client.DeleteTopics(testContext(t), &kafkago.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || answer.Errors[topic] != nil {
		t.Fatal(err, answer)
	}
}
