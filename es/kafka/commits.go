package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/internal/wait"
)

const (
	// commitEvery is how long commits are gathered.
	commitEvery   = 200 * time.Millisecond
	commitTimeout = 2 * time.Second
	// finishTimeout is for the last commits, and leaves a part of rebalanceTimeout to the
	// handlers.
	finishTimeout = time.Second
)

// commits gathers the commits of a generation. It writes them with the generation
// and member id, on connections of the client's: a generation that is over is
// refused, and heartbeats do not wait.
type commits struct {
	client     *Client
	generation *kafkago.Generation

	mu      sync.Mutex
	pending map[place]commit
	over    bool // the generation
	seen    failures
}

// place names a partition.
type place struct {
	topic     string
	partition int
}

func newCommits(c *Client, generation *kafkago.Generation) *commits {
	return &commits{client: c, generation: generation, pending: make(map[place]commit)}
}

func (c *commits) set(p *Partition, next int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.pending[place{p.topic, p.number}] = commit{id: p.id, next: next}
	}
}

// run writes what is pending now and then.
func (c *commits) run(ctx context.Context) {
	for wait.For(ctx, commitEvery) == nil {
		c.flush(ctx)
	}
}

// finish writes what is pending when the generation ends, if that can be done while the
// group waits for this member.
func (c *commits) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	rest := newBackoff()
	for !c.flush(ctx) && rest.Wait(ctx) == nil { //nolint:revive // flush does the work
	}
}

// flush reports that nothing is left for which to wait. One is under way at a
// time, or an older could overtake a newer one: run has ended when finish is called.
func (c *commits) flush(ctx context.Context) bool {
	taken, request := c.take()
	if len(taken) == 0 {
		return true
	}
	// A request under way is finished when run ends: its result would be unknown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	response, err := c.client.api.OffsetCommit(ctx, request)
	failed := taken
	if err == nil {
		failed, err = unwritten(taken, response)
	}
	if err == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.warn(c.client.log, err, "commits not written", "group", c.generation.GroupID, "generation", c.generation.ID)
	if generationOver(err) {
		c.over, c.pending = true, nil
		return true
	}
	for at, older := range failed { // to be tried again
		if _, newer := c.pending[at]; !newer {
			c.pending[at] = older
		}
	}
	return unknownTopic(err)
}

func (c *commits) take() (map[place]commit, *kafkago.OffsetCommitRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil, nil
	}
	taken := c.pending
	c.pending = make(map[place]commit)
	request := &kafkago.OffsetCommitRequest{
		GroupID: c.generation.GroupID, GenerationID: int(c.generation.ID), MemberID: c.generation.MemberID,
		Topics: make(map[string][]kafkago.OffsetCommit),
	}
	for at, one := range taken {
		request.Topics[at.topic] = append(request.Topics[at.topic], kafkago.OffsetCommit{Partition: at.partition, Offset: one.next, Metadata: one.metadata()})
	}
	return taken, request
}

// unwritten returns the commits to try again and why. That a topic is unknown is said
// last: it is gone, or the broker has just begun, so that nobody need wait for it.
func unwritten(taken map[place]commit, response *kafkago.OffsetCommitResponse) (map[place]commit, error) {
	failed := make(map[place]commit)
	var why error
	for topic, partitions := range response.Topics {
		for _, p := range partitions {
			if p.Error == nil {
				continue
			}
			at := place{topic, p.Partition}
			failed[at] = taken[at]
			if why == nil || unknownTopic(why) || generationOver(p.Error) {
				why = p.Error
			}
		}
	}
	return failed, why
}

// generationOver reports that this member's commits count no more.
func generationOver(err error) bool {
	return errors.Is(err, kafkago.IllegalGeneration) || errors.Is(err, kafkago.UnknownMemberId) || errors.Is(err, kafkago.FencedInstanceID)
}
