package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// commitEvery is how long commits are gathered.
	commitEvery   = 200 * time.Millisecond
	commitTimeout = 2 * time.Second
)

// commits gathers the commits of a generation. It writes them with the generation
// and member id, on connections of the client's: a generation that is over is
// refused, and heartbeats do not wait.
type commits struct {
	client     *Client
	generation *kafkago.Generation
	writing    sync.Mutex // one request at a time, or an older could overtake a newer one

	mu      sync.Mutex
	pending map[string]map[int]int64
	over    bool // the generation
	seen    failures
}

func newCommits(c *Client, generation *kafkago.Generation) *commits {
	return &commits{client: c, generation: generation, pending: make(map[string]map[int]int64)}
}

func (c *commits) set(topic string, partition int, next int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if c.pending[topic] == nil {
		c.pending[topic] = make(map[int]int64)
	}
	c.pending[topic][partition] = next
}

// run writes what is pending now and then.
func (c *commits) run(ctx context.Context) {
	for pause(ctx, commitEvery) == nil {
		c.flush(ctx)
	}
}

func (c *commits) flush(ctx context.Context) {
	c.writing.Lock()
	defer c.writing.Unlock()
	taken, request := c.take()
	if len(taken) == 0 {
		return
	}
	// A request under way is finished when run ends: its result would be unknown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	response, err := c.client.api.OffsetCommit(ctx, request)
	if err == nil {
		err = commitError(response)
	}
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.warn(c.client.log, err, "kafka: commits not written", "group", c.generation.GroupID, "generation", c.generation.ID)
	if generationOver(err) {
		c.over, c.pending = true, nil
		return
	}
	for topic, partitions := range taken { // to be tried again
		for partition, next := range partitions {
			if _, newer := c.pending[topic][partition]; newer {
				continue
			}
			if c.pending[topic] == nil {
				c.pending[topic] = make(map[int]int64)
			}
			c.pending[topic][partition] = next
		}
	}
}

func (c *commits) take() (map[string]map[int]int64, *kafkago.OffsetCommitRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil, nil
	}
	taken := c.pending
	c.pending = make(map[string]map[int]int64)
	request := &kafkago.OffsetCommitRequest{
		GroupID: c.generation.GroupID, GenerationID: int(c.generation.ID), MemberID: c.generation.MemberID,
		Topics: make(map[string][]kafkago.OffsetCommit, len(taken)),
	}
	for topic, partitions := range taken {
		for partition, next := range partitions {
			request.Topics[topic] = append(request.Topics[topic], kafkago.OffsetCommit{Partition: partition, Offset: next})
		}
	}
	return taken, request
}

func commitError(response *kafkago.OffsetCommitResponse) error {
	for _, partitions := range response.Topics {
		for _, p := range partitions {
			if p.Error != nil {
				return p.Error
			}
		}
	}
	return nil
}

// generationOver reports that this member's commits count no more.
func generationOver(err error) bool {
	return errors.Is(err, kafkago.IllegalGeneration) || errors.Is(err, kafkago.UnknownMemberId) || errors.Is(err, kafkago.FencedInstanceID)
}
