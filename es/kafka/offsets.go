package kafka

import (
	"context"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Heads returns, by partition, the offset that the topic's next message will get.
func (c *Client) Heads(ctx context.Context, topic string) (map[int]int64, error) {
	return c.listOffsets(ctx, topic, kafkago.LastOffset)
}

// Tails returns, by partition, the offset of the oldest message that is kept.
func (c *Client) Tails(ctx context.Context, topic string) (map[int]int64, error) {
	return c.listOffsets(ctx, topic, kafkago.FirstOffset)
}

func (c *Client) listOffsets(ctx context.Context, topic string, which int64) (map[int]int64, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	wanted := make([]kafkago.OffsetRequest, n)
	for i := range wanted {
		wanted[i] = kafkago.OffsetRequest{Partition: i, Timestamp: which}
	}
	found := make(map[int]int64, n)
	err = c.retry(ctx, func(ctx context.Context) error {
		response, err := c.api.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{topic: wanted}})
		if err != nil {
			return err
		}
		for _, p := range response.Topics[topic] {
			if p.Error != nil {
				return p.Error
			}
			found[p.Partition] = p.LastOffset
			if which == kafkago.FirstOffset {
				found[p.Partition] = p.FirstOffset
			}
		}
		if len(found) < n {
			return kafkago.LeaderNotAvailable
		}
		return nil
	})
	if err != nil {
		return nil, c.explain(ctx, "read the offsets of "+topic, err)
	}
	return found, nil
}

// Lag returns how many messages of the topics the group has not yet committed. Where
// it never committed, that is all that are kept.
func (c *Client) Lag(ctx context.Context, group string, topics ...string) (int64, error) {
	if group == "" || len(topics) == 0 {
		return 0, fmt.Errorf("%w: lag of group %q on %q: name the group and its topics", ErrInvalid, group, topics)
	}
	var lag int64
	for _, topic := range topics {
		committed, err := c.committed(ctx, group, topic)
		if err != nil {
			return 0, err
		}
		tails, err := c.Tails(ctx, topic)
		if err != nil {
			return 0, err
		}
		heads, err := c.Heads(ctx, topic)
		if err != nil {
			return 0, err
		}
		for partition, head := range heads {
			next, ok := committed[partition]
			if !ok {
				next = tails[partition]
			}
			lag += max(0, head-max(next, tails[partition]))
		}
	}
	return lag, nil
}

// committed returns the group's commits in the topic as it is now, by partition.
func (c *Client) committed(ctx context.Context, group, topic string) (map[int]int64, error) {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	wanted := make([]int, n)
	for i := range wanted {
		wanted[i] = i
	}
	next := make(map[int]int64, n)
	err = c.retry(ctx, func(ctx context.Context) error {
		states, err := c.topicStates(ctx, []string{topic})
		if err != nil {
			return err
		}
		found, err := c.readCommits(ctx, group, map[string][]int{topic: wanted})
		if err != nil {
			return err
		}
		for partition, commit := range found[topic] {
			if commit.in(states[topic].ID) {
				next[partition] = commit.next
			}
		}
		return nil
	})
	if err != nil {
		return nil, c.explain(ctx, "read the commits of group "+group, err)
	}
	return next, nil
}
