package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
)

// Range gives the messages of a partition from one offset up to another, which is left
// out, in order and without a group. It gives what there is: an offset that the partition
// has not got to yet is the end. Messages that are not kept any more give [ErrGone], and
// what give returns ends it.
func (c *Client) Range(ctx context.Context, topic string, number int, from, to int64, give func([]Message) error) error {
	p := &Partition{client: c, topic: topic, number: number, committed: -1, noted: -1}
	defer p.close()
	p.SeekTo(from)
	head, err := c.Heads(ctx, topic)
	if err != nil {
		return err
	}
	to = min(to, head[number])
	for p.next < to {
		if err := c.fillRange(ctx, p); err != nil {
			return err
		}
		messages := slices.DeleteFunc(p.buffer, func(m Message) bool { return m.Offset >= to })
		if p.buffer = nil; len(messages) == 0 {
			continue
		}
		if err := give(messages); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) fillRange(ctx context.Context, p *Partition) error {
	gone := false
	err := c.retry(ctx, func(ctx context.Context) error {
		err := p.fill(ctx)
		if gone = errors.Is(err, kafkago.OffsetOutOfRange); gone {
			return nil
		}
		if err != nil {
			p.close()
		}
		return err
	})
	if gone {
		return fmt.Errorf("%w: %s from offset %d", ErrGone, p.what(), p.next)
	}
	return c.explain(ctx, p.what(), err)
}

// Compacted reports a topic from which brokers remove messages that later ones of the same
// key replace.
func (c *Client) Compacted(ctx context.Context, topic string) (bool, error) {
	const cleanup = "cleanup.policy"
	compacted := false
	err := c.retry(ctx, func(ctx context.Context) error {
		answer, err := c.api.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{
			{ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{cleanup}},
		}})
		if err != nil {
			return err
		}
		for _, r := range answer.Resources {
			if r.Error != nil {
				return r.Error
			}
			for _, e := range r.ConfigEntries {
				compacted = compacted || e.ConfigName == cleanup && strings.Contains(e.ConfigValue, "compact")
			}
		}
		return nil
	})
	return compacted, c.explain(ctx, "read the settings of "+topic, err)
}
