package kafka

import (
	"context"
	"encoding/json"
	"sync"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/internal/wait"
)

// balancer shares the partitions out by ranges, so that those of one number go to one
// member and topics can be joined.
//
// The members of a group may read different topics. One of them leads, and shares out
// those of all. A member that sees a change of its own topics joins again: brokers take
// no notice of one that says the same as before, unless it leads. So each says what it
// knows of its topics, and the leader goes by what all know, whether or not it has
// heard of it itself.
type balancer struct {
	kafkago.RangeGroupBalancer

	client *Client
	ctx    context.Context //nolint:containedctx // of Consume, since UserData is given none
	group  Group

	mu    sync.Mutex
	known map[string]topicState // as it was said when the group was joined last
	seen  failures
}

// said is what a member says of itself when it joins.
type said struct {
	Topics map[string]topicState `json:"asof_topics"`
}

// UserData implements kafkago.GroupBalancer.
func (b *balancer) UserData() ([]byte, error) {
	known, err := b.client.topicStates(b.ctx, b.group.Topics)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && b.known == nil {
		return nil, err
	}
	if err == nil { // else an error would cost the membership: watch looks again
		b.known = known
	}
	if gone := missing(b.group.Topics, b.known); len(gone) > 0 {
		b.seen.warn(b.client.log, kafkago.UnknownTopicOrPartition, "the group waits for its topics", "group", b.group.Name, "topics", gone)
	}
	return json.Marshal(said{b.known})
}

func (b *balancer) states() map[string]topicState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known
}

// AssignGroups implements kafkago.GroupBalancer.
func (b *balancer) AssignGroups(members []kafkago.GroupMember, partitions []kafkago.Partition) kafkago.GroupMemberAssignments {
	counts := make(map[string]int)
	for _, p := range partitions {
		counts[p.Topic] = max(counts[p.Topic], p.ID+1)
	}
	for _, member := range members {
		var s said
		if json.Unmarshal(member.UserData, &s) != nil {
			continue // a client of another make
		}
		for topic, state := range s.Topics {
			counts[topic] = max(counts[topic], state.Partitions)
		}
	}
	var all []kafkago.Partition
	for topic, n := range counts {
		for id := range n {
			all = append(all, kafkago.Partition{Topic: topic, ID: id})
		}
	}
	return b.RangeGroupBalancer.AssignGroups(members, all)
}

// watch returns when the group must be joined again since a topic has changed.
func (b *balancer) watch(generation context.Context) {
	var seen failures
	for wait.For(generation, watchTopicsEvery) == nil {
		now, err := b.client.topicStates(generation, b.group.Topics)
		switch {
		case generation.Err() != nil:
			return
		case err != nil:
			seen.warn(b.client.log, err, "cannot look at the topics, trying again", "group", b.group.Name)
		case changed(b.states(), now):
			b.client.log.Info("a topic has changed, joining again", "group", b.group.Name)
			return
		}
	}
}
