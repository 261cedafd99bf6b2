package kafka

import "context"

// Topic is a topic as it should be.
type Topic struct {
	Name string
	// Partitions and Replication are counts; 0 means the broker's default.
	Partitions  int
	Replication int
	// Config has the topic's settings, such as "retention.ms".
	Config map[string]string
}

// EnsureTopics creates the topics that are missing and returns when they can be used.
func (c *Client) EnsureTopics(ctx context.Context, topics ...Topic) error { return nil }

// Partitions returns the number of partitions of a topic.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) { return 0, nil }

// Heads returns the offset of each partition that the next message will get.
func (c *Client) Heads(ctx context.Context, topic string) (map[int]int64, error) { return nil, nil }

// Lag returns how many messages of the topics the group has not yet committed.
func (c *Client) Lag(ctx context.Context, group string, topics ...string) (int64, error) {
	return 0, nil
}
