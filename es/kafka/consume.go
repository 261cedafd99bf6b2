package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Times of a group. They let another member take over within seconds; a handler has
// rebalanceTimeout to return when its partition is revoked.
const (
	sessionTimeout     = 6 * time.Second
	heartbeatEvery     = 500 * time.Millisecond
	rebalanceTimeout   = 2 * time.Second
	joinBackoff        = 200 * time.Millisecond
	coordinatorTimeout = 5 * time.Second
	// coordinatorSilence is longer than a broker may hold back the first join of a
	// group (group.initial.rebalance.delay.ms, 3 s by default).
	coordinatorSilence = 4500 * time.Millisecond
)

// Start says where a group begins in a partition for which it has no commit.
type Start int

// Where a group begins.
const (
	First Start = iota // the oldest message that is kept
	Last               // what is published from now on
)

// Group is a consumer group. Its members share the partitions of its topics.
type Group struct {
	Name   string
	Topics []string
	// From is used where the group has no commit. Last means the end of the topics
	// when Consume was called.
	From Start
}

// Consume joins the group and calls handle for every partition that is assigned to
// this member, each in a goroutine of its own, until ctx ends; then it leaves the
// group and returns nil.
//
// When a partition is revoked, the context of its handle ends; handle must return
// within two seconds, or the group goes on without this member until it does. What
// it committed before it returned is written before another member may begin. After
// the revocation the partition may be assigned again, to a new call of handle.
//
// An error of handle whose context has not ended makes Consume leave the group and
// return it. A handle that returns nil leaves its partition idle.
//
// Consume returns at once when the cluster cannot be reached ([ErrUnreachable]) or a
// topic does not exist ([ErrNoTopic]). After that it joins again by itself,
// whatever happens to the brokers. When a topic is deleted it reads none of them
// until that one is made again.
func (c *Client) Consume(ctx context.Context, g Group, handle func(ctx context.Context, part *Partition) error) error {
	starts, err := c.begin(ctx, g)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return c.consume(ctx, g, starts, handle)
}

// consume is Consume after its checks.
func (c *Client) consume(ctx context.Context, g Group, starts map[string]map[int]int64, handle func(context.Context, *Partition) error) error {
	group, err := kafkago.NewConsumerGroup(c.groupConfig(g))
	if err != nil {
		return fmt.Errorf("%w: group %q: %w", ErrInvalid, g.Name, err)
	}
	defer func() { _ = group.Close() }()
	// Closing tells the brokers, ends the generation and waits for its handlers.
	defer context.AfterFunc(ctx, func() { _ = group.Close() })()

	var seen failures
	var rest backoff
	for {
		generation, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case c.closed.Load():
			return c.open()
		case errors.Is(err, kafkago.RebalanceInProgress):
			continue // another member came or went while this one joined
		case err != nil && denied(err):
			return c.explain(ctx, "join group "+g.Name, err)
		case err != nil:
			seen.warn(c.log, err, "kafka: cannot join the group yet", "group", g.Name)
			continue
		}
		begin := time.Now()
		m := newMember(ctx, c, g, generation, starts, handle)
		generation.Start(m.run)
		if err := m.wait(); err != nil {
			return err
		}
		if time.Since(begin) > joinBackoff {
			seen, rest = failures{}, backoff{}
			continue
		}
		// kafka-go ends a generation at once, and joins the next, when a topic is missing.
		if known, err := c.metadata(ctx, g.Topics...); err == nil {
			if err = missingTopic(known); err != nil {
				seen.warn(c.log, err, "kafka: the group waits for its topics", "group", g.Name, "topics", g.Topics)
			}
		}
		_ = rest.pause(ctx)
	}
}

// begin checks the group and finds where it starts in partitions without a commit.
func (c *Client) begin(ctx context.Context, g Group) (map[string]map[int]int64, error) {
	if g.Name == "" || len(g.Topics) == 0 || slices.Contains(g.Topics, "") || (g.From != First && g.From != Last) {
		return nil, fmt.Errorf("%w: group %+v: give a name and the topics", ErrInvalid, g)
	}
	starts := make(map[string]map[int]int64)
	for _, topic := range g.Topics {
		if _, err := c.Partitions(ctx, topic); err != nil {
			return nil, err
		}
		if g.From == First {
			continue
		}
		heads, err := c.Heads(ctx, topic)
		if err != nil {
			return nil, err
		}
		starts[topic] = heads
	}
	return starts, nil
}

func (c *Client) groupConfig(g Group) kafkago.ConsumerGroupConfig {
	brokers := slices.Clone(c.config.Brokers)
	rand.Shuffle(len(brokers), func(i, j int) { brokers[i], brokers[j] = brokers[j], brokers[i] })
	return kafkago.ConsumerGroupConfig{
		ID: g.Name, Topics: g.Topics, Brokers: brokers, Dialer: c.conns(coordinatorSilence),
		// Range gives partitions of one number to one member, so that topics can be joined.
		GroupBalancers:        []kafkago.GroupBalancer{kafkago.RangeGroupBalancer{}},
		HeartbeatInterval:     heartbeatEvery,
		SessionTimeout:        sessionTimeout,
		RebalanceTimeout:      rebalanceTimeout,
		JoinGroupBackoff:      joinBackoff,
		Timeout:               coordinatorTimeout,
		WatchPartitionChanges: true,
		StartOffset:           kafkago.FirstOffset,
	}
}

// revoked is why a handler's context ends.
var errRevoked = errors.New("kafka: the partition was revoked")
