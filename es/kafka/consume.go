package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
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
	// when Consume was called; in a partition, or topic, that is made later it is the
	// beginning.
	From Start
	// Joined, when it is given, is called each time that this member has joined, with its id
	// in the group, beside the handlers. It returns when its context ends, which is when the
	// members share the partitions anew.
	Joined func(ctx context.Context, member string)
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
// whatever happens to the brokers. Every member looks at its own topics each second
// and joins again when one of them has more partitions, or was deleted and made again:
// then the new topic is read from its beginning.
//
// Messages of transactions are handed out when their transaction is committed, those
// of an aborted one never: their offsets, and those of its markers, are left out.
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
func (c *Client) consume(ctx context.Context, g Group, starts map[string]start, handle func(context.Context, *Partition) error) error {
	topics := &balancer{client: c, ctx: ctx, group: g}
	group, err := kafkago.NewConsumerGroup(c.groupConfig(g, topics))
	if err != nil {
		return fmt.Errorf("%w: group %q: %w", ErrInvalid, g.Name, err)
	}
	defer func() { _ = group.Close() }()
	// Closing tells the brokers, ends the generation and waits for its handlers.
	defer context.AfterFunc(ctx, func() { _ = group.Close() })()

	var seen failures
	rest := newBackoff()
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
			seen.warn(c.log, err, "cannot join the group yet", "group", g.Name)
			continue
		}
		begin := time.Now()
		m := newMember(ctx, c, g, generation, topics.states(), starts, handle)
		generation.Start(m.run)
		generation.Start(topics.watch)
		if g.Joined != nil {
			generation.Start(func(ctx context.Context) { g.Joined(ctx, generation.MemberID) })
		}
		if err := m.wait(); err != nil {
			return err
		}
		if time.Since(begin) > joinBackoff {
			seen = failures{}
			rest.Reset()
			continue
		}
		_ = rest.Wait(ctx)
	}
}

// start is where a group from Last begins in a topic.
type start struct {
	id    uuid.UUID // of the topic whose end it is
	heads map[int]int64
}

// begin checks the group and finds where it starts in partitions without a commit.
func (c *Client) begin(ctx context.Context, g Group) (map[string]start, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	for _, topic := range g.Topics {
		if _, err := c.Partitions(ctx, topic); err != nil {
			return nil, err
		}
	}
	starts := make(map[string]start)
	if g.From == First {
		return starts, nil
	}
	var known map[string]topicState
	err := c.retry(ctx, func(ctx context.Context) (err error) {
		known, err = c.topicStates(ctx, g.Topics)
		return err
	})
	if err != nil {
		return nil, c.explain(ctx, "look at the topics of group "+g.Name, err)
	}
	for _, topic := range g.Topics {
		heads, err := c.Heads(ctx, topic)
		if err != nil {
			return nil, err
		}
		starts[topic] = start{id: known[topic].ID, heads: heads}
	}
	return starts, nil
}

func (g Group) check() error {
	if g.Name == "" || len(g.Topics) == 0 {
		return fmt.Errorf("%w: group %+v: give a name and the topics", ErrInvalid, g)
	}
	if g.From != First && g.From != Last {
		return fmt.Errorf("%w: group %q: From is %d: give First or Last", ErrInvalid, g.Name, g.From)
	}
	for i, topic := range g.Topics {
		if err := ValidTopic(topic); err != nil {
			return fmt.Errorf("group %q: %w", g.Name, err)
		}
		if slices.Contains(g.Topics[:i], topic) {
			return fmt.Errorf("%w: group %q: topic %s is named twice", ErrInvalid, g.Name, topic)
		}
	}
	return nil
}

func (c *Client) groupConfig(g Group, topics *balancer) kafkago.ConsumerGroupConfig {
	brokers := slices.Clone(c.config.Brokers)
	rand.Shuffle(len(brokers), func(i, j int) { brokers[i], brokers[j] = brokers[j], brokers[i] })
	return kafkago.ConsumerGroupConfig{
		ID: g.Name, Topics: g.Topics, Brokers: brokers, Dialer: c.conns(coordinatorSilence),
		GroupBalancers:    []kafkago.GroupBalancer{topics},
		HeartbeatInterval: heartbeatEvery,
		SessionTimeout:    sessionTimeout,
		RebalanceTimeout:  rebalanceTimeout,
		JoinGroupBackoff:  joinBackoff,
		Timeout:           coordinatorTimeout,
		StartOffset:       kafkago.FirstOffset,
	}
}

// errRevoked is why a handler's context ends.
var errRevoked = errors.New("kafka: the partition was revoked")
