package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/asof-dev/asof/es/kafka"
)

const (
	// recordTopicSQL keeps the first number that a topic got. Bind: $1 topic, $2
	// partitions.
	recordTopicSQL = `
with new as (
    insert into {asof}.relay_topics (topic, partitions) values ($1, $2)
    on conflict do nothing returning partitions
)
select partitions from new union all select partitions from {asof}.relay_topics where topic = $1 limit 1`

	// Bind: $1 topic.
	topicSQL = `select coalesce((select partitions from {asof}.relay_topics where topic = $1), 0)`
)

// topics are those that the relay publishes to.
type topics struct {
	relay    *Relay
	producer *kafka.Producer

	mu    sync.Mutex      // held while one is made
	known map[string]bool // those that were looked at in this term
}

func newTopics(r *Relay, producer *kafka.Producer) *topics {
	return &topics{relay: r, producer: producer, known: map[string]bool{}}
}

// ensure makes a topic before its first event of the term. It must have as
// many partitions as it was made with and as the options say: with another number the
// partitioner would send a key elsewhere.
func (t *topics) ensure(ctx context.Context, name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ensureLocked(ctx, name)
}

func (t *topics) ensureLocked(ctx context.Context, name string) error {
	if t.known[name] {
		return nil
	}
	topic, want := t.relay.topicOf(name), t.relay.partitionsOf(name)
	recorded, err := t.ask(ctx, "look up topic "+topic, topicSQL, topic)
	if err != nil {
		return err
	}
	if recorded != 0 && recorded != want {
		return fmt.Errorf("%w: topic %s was made with %d and the relay is told %d: give WithPartitions(%d, %q)", ErrPartitions, topic, recorded, want, recorded, name)
	}
	err = t.relay.client.EnsureTopics(ctx, kafka.Topic{Name: topic, Partitions: want, Replication: t.relay.replication})
	if errors.Is(err, kafka.ErrPartitions) {
		return fmt.Errorf("%w: topic %s should have %d: give WithPartitions with the number it has if it was never published to, else publish to another topic (WithTopicPrefix) from position 0 (Repair): %w", ErrPartitions, topic, want, err)
	}
	if err != nil {
		return fmt.Errorf("outbox: make topic %s: %w", topic, err)
	}
	if recorded, err = t.ask(ctx, "record topic "+topic, recordTopicSQL, topic, want); err != nil {
		return err
	}
	if recorded != want {
		return fmt.Errorf("%w: topic %s was just made with %d by another relay and this one is told %d", ErrPartitions, topic, recorded, want)
	}
	t.producer.Fix(topic, want)
	t.known[name] = true
	return nil
}

// ask returns a number of partitions from the database.
func (t *topics) ask(ctx context.Context, what, sql string, args ...any) (partitions int, err error) {
	err = t.relay.store.Pool().QueryRow(ctx, t.relay.sql(sql), args...).Scan(&partitions)
	return partitions, explain(what, err)
}

// remake makes topics again that were deleted. What was in them stays lost: see
// Repair to publish it again.
func (t *topics) remake(ctx context.Context, names []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		n, err := t.relay.client.Partitions(ctx, t.relay.topicOf(name))
		switch {
		case final(err):
			return fmt.Errorf("outbox: look at topic %s: %w", t.relay.topicOf(name), err)
		case err != nil && !errors.Is(err, kafka.ErrNoTopic), n >= t.relay.partitionsOf(name):
			continue
		}
		t.relay.logger.WarnContext(ctx, "topic was deleted and is made again", "topic", t.relay.topicOf(name))
		delete(t.known, name)
		if err := t.ensureLocked(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
