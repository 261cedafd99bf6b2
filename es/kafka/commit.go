package kafka

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
)

// commit is how far a group has read a partition. It says of which topic, as brokers
// take it for that of any topic of the name.
type commit struct {
	id   uuid.UUID // of the topic; none where that is not known
	next int64
}

// topicIDPrefix stands before the topic's id in the metadata of a commit.
const topicIDPrefix = "topic-id="

func (c commit) metadata() string {
	if c.id == uuid.Nil {
		return ""
	}
	return topicIDPrefix + c.id.String()
}

// in reports a commit that counts in the topic of that id. One that does not say its
// topic does: another client wrote it, or one that did not know.
func (c commit) in(id uuid.UUID) bool { return c.id == uuid.Nil || id == uuid.Nil || c.id == id }

func commitFrom(p kafkago.OffsetFetchPartition) commit {
	c := commit{next: p.CommittedOffset}
	if text, ok := strings.CutPrefix(p.Metadata, topicIDPrefix); ok {
		c.id, _ = uuid.Parse(text)
	}
	return c
}

// readCommits returns what the group has committed in the partitions.
func (c *Client) readCommits(ctx context.Context, group string, partitions map[string][]int) (map[string]map[int]commit, error) {
	answer, err := c.api.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: group, Topics: partitions})
	if err != nil {
		return nil, err
	}
	found := make(map[string]map[int]commit)
	if errors.Is(answer.Error, kafkago.GroupIdNotFound) {
		return found, nil
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	for topic, wanted := range partitions {
		found[topic] = make(map[int]commit)
		for _, p := range answer.Topics[topic] {
			if p.Error != nil {
				return nil, p.Error
			}
			if p.CommittedOffset >= 0 {
				found[topic][p.Partition] = commitFrom(p)
			}
		}
		if len(answer.Topics[topic]) < len(wanted) {
			return nil, errIncomplete
		}
	}
	return found, nil
}

var errIncomplete = errors.New("the broker has left partitions out of its answer")
