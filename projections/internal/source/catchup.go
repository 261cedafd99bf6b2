package source

import (
	"context"

	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/projections/internal/apply"
)

// catchUp reads the topics that were read before up to where they end, when there is one more: the
// next version of a contract, say. Where streams have holes an event that comes after a later
// one is taken for a repetition, and what the new topic has is later than what the others had when
// it began.
func (f *follower) catchUp(ctx context.Context, found *WholeTopics) error {
	if !found.more() {
		return nil
	}
	for _, topic := range f.InOrder() {
		for number, head := range found.Heads[topic] {
			at := apply.Partition{Topic: topic, Number: number}
			if next, begun := found.Stored[at]; begun && next < head {
				if err := f.readUpTo(ctx, at, next, head); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// more reports a topic that was not read before beside one that was.
func (t *WholeTopics) more() bool {
	fresh := false
	for topic, partitions := range t.Heads {
		for number := range partitions {
			_, begun := t.Stored[apply.Partition{Topic: topic, Number: number}]
			fresh = fresh || !begun
		}
	}
	return fresh && len(t.Stored) > 0
}

func (f *follower) readUpTo(ctx context.Context, at apply.Partition, next, head int64) error {
	var rest []kafka.Message
	return f.Client.Range(ctx, at.Topic, at.Number, next, head, func(messages []kafka.Message) error {
		all := append(rest, messages...) //nolint:gocritic // rest is made anew each time
		left, gapped, err := f.Deliver(at, next, all, func(w *apply.Work) error { return f.apply(ctx, at, w) })
		if err != nil {
			return err
		}
		rest, next = left, all[len(all)-1].Offset+1
		if len(rest) > 0 {
			next = rest[0].Offset
		}
		if !gapped {
			return nil
		}
		return f.feed.ReadAgain(ctx, f.Kafka, f.b, at, next, func(w *apply.Work) error { return f.apply(ctx, at, w) })
	})
}
