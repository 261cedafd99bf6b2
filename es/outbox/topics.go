package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es/kafka"
)

// recordTopicSQL keeps the first number that a topic got. Bind: $1 topic, $2
// partitions.
const recordTopicSQL = `
with new as (
    insert into {asof}.relay_topics (topic, partitions) values ($1, $2)
    on conflict do nothing returning partitions
)
select partitions from new union all select partitions from {asof}.relay_topics where topic = $1 limit 1`

// Bind: $1 topic.
const topicSQL = `select coalesce((select partitions from {asof}.relay_topics where topic = $1), 0)`

// ensureTopic makes a category's topic before its first event of the term. It must
// have as many partitions as it was made with and as the options say: with another
// number the partitioner would send a key elsewhere.
func (p *publisher) ensureTopic(ctx context.Context, category string) error {
	if p.known[category] {
		return nil
	}
	topic, want := p.term.relay.topic(category), p.term.relay.partitionsOf(category)
	var recorded int
	if err := p.term.relay.store.Pool().QueryRow(ctx, p.term.relay.q(topicSQL), topic).Scan(&recorded); err != nil {
		return explain("look up topic "+topic, err)
	}
	if recorded != 0 && recorded != want {
		return fmt.Errorf("%w: topic %s was made with %d and the relay is told %d: give WithPartitions(%d, %q)", ErrPartitions, topic, recorded, want, recorded, category)
	}
	err := p.term.relay.client.EnsureTopics(ctx, kafka.Topic{Name: topic, Partitions: want, Replication: p.term.relay.replication})
	if errors.Is(err, kafka.ErrPartitions) {
		return fmt.Errorf("%w: topic %s should have %d: give WithPartitions with the number it has if it was never published to, else publish to another topic (WithTopicPrefix) from position 0 (Repair): %w", ErrPartitions, topic, want, err)
	}
	if err != nil {
		return fmt.Errorf("outbox: make topic %s: %w", topic, err)
	}
	if err := p.term.relay.store.Pool().QueryRow(ctx, p.term.relay.q(recordTopicSQL), topic, want).Scan(&recorded); err != nil {
		return explain("record topic "+topic, err)
	}
	if recorded != want {
		return fmt.Errorf("%w: topic %s was just made with %d by another relay and this one is told %d", ErrPartitions, topic, recorded, want)
	}
	p.producer.Fix(topic, want)
	p.known[category] = true
	return nil
}

// remake makes topics again that were deleted. What was in them stays lost: see
// Repair to publish it again.
func (p *publisher) remake(ctx context.Context, categories []string) error {
	for _, category := range categories {
		n, err := p.term.relay.client.Partitions(ctx, p.term.relay.topic(category))
		if err != nil && !errors.Is(err, kafka.ErrNoTopic) || n >= p.term.relay.partitionsOf(category) {
			continue
		}
		p.term.relay.log.WarnContext(ctx, "topic was deleted and is made again", "topic", p.term.relay.topic(category))
		delete(p.known, category)
		if err := p.ensureTopic(ctx, category); err != nil {
			return err
		}
	}
	return nil
}

func (r *Relay) partitionsOf(category string) int {
	if n, ok := r.byCategory[category]; ok {
		return n
	}
	return r.partitions
}
