package kafka

import "context"

// Start says where a group without a commit begins.
type Start int

const (
	First Start = iota // the oldest message that is kept
	Last               // the next message to come
)

// Group is a consumer group.
type Group struct {
	Name   string
	Topics []string
	From   Start
}

// Consume joins the group and calls handle for every partition that is assigned.
func (c *Client) Consume(ctx context.Context, g Group, handle func(ctx context.Context, part *Partition) error) error {
	return nil
}

// Partition is a partition that is assigned to this member.
type Partition struct {
	topic  string
	number int
}

// Topic returns the partition's topic.
func (p *Partition) Topic() string { return p.topic }

// Number returns the partition's number in its topic, from 0.
func (p *Partition) Number() int { return p.number }

// SeekTo sets the offset of the next Fetch.
func (p *Partition) SeekTo(offset int64) {}

// Fetch returns the next messages, at least one and at most max.
func (p *Partition) Fetch(ctx context.Context, max int) ([]Message, error) { return nil, nil }

// Commit notes that messages below next are done.
func (p *Partition) Commit(next int64) {}
