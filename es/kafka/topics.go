package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/internal/wait"
)

const (
	// propagation is how long a topic that was just created may be unknown to a
	// broker, or to what this client remembers.
	propagation = 1500 * time.Millisecond
	// slowAnswer is how long a cluster may take for its first answer.
	slowAnswer = 10 * time.Second
	// ensureTimeout bounds EnsureTopics.
	ensureTimeout = 30 * time.Second
	lookAgain     = 50 * time.Millisecond
)

// Topic is a topic as it should be.
type Topic struct {
	Name string
	// Partitions and Replication are counts; 0 leaves them to the broker's default.
	Partitions  int
	Replication int
	// Config has the topic's settings, such as "retention.ms". They are used when
	// the topic is created; the settings of one that exists are left alone.
	Config map[string]string
}

// EnsureTopics creates the topics that are missing and returns when every leader of
// theirs knows them, so that they can be used at once. A topic with another number
// of partitions than stated is [ErrPartitions]: its keys would move.
func (c *Client) EnsureTopics(ctx context.Context, topics ...Topic) error {
	ctx, cancel := context.WithTimeout(ctx, ensureTimeout)
	defer cancel()
	names := make([]string, len(topics))
	for i, t := range topics {
		if err := t.check(topics[:i]); err != nil {
			return err
		}
		names[i] = t.Name
	}
	if len(topics) == 0 {
		return nil
	}
	if err := c.createTopics(ctx, topics); err != nil {
		return err
	}
	for _, t := range topics {
		n, err := c.Partitions(ctx, t.Name)
		if err != nil {
			return err
		}
		if t.Partitions > 0 && n != t.Partitions {
			return fmt.Errorf("%w: %q has %d and %d were asked for: state %d, or publish to a topic of another name", ErrPartitions, t.Name, n, t.Partitions, n)
		}
	}
	return c.awaitLeaders(ctx, names)
}

// check refuses what no broker takes, beside the topics asked for already.
func (t Topic) check(others []Topic) error {
	if err := ValidTopic(t.Name); err != nil {
		return err
	}
	if t.Partitions < 0 || t.Replication < 0 {
		return fmt.Errorf("%w: topic %s: %d partitions, replication %d: give counts of 0 or more", ErrInvalid, t.Name, t.Partitions, t.Replication)
	}
	for _, other := range others {
		if TopicsCollide(t.Name, other.Name) {
			return fmt.Errorf("%w: topics %q and %q: brokers take but one of them: name each once, and so that they differ not in . and _ alone", ErrInvalid, other.Name, t.Name)
		}
	}
	return nil
}

// createTopics creates what does not exist yet. A cluster that is electing its
// controller is asked again.
func (c *Client) createTopics(ctx context.Context, topics []Topic) error {
	missing, err := c.missing(ctx, topics)
	if err != nil {
		return err
	}
	for len(missing) > 0 {
		response, err := c.api.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: missing})
		if err == nil {
			missing, err = uncreated(missing, response.Errors)
		}
		if err == nil && len(missing) == 0 {
			return nil
		}
		var code kafkago.Error
		if errors.As(err, &code) && !code.Temporary() {
			return c.explain(ctx, "create the topic "+missing[0].Topic, c.named(ctx, missing[0].Topic, err))
		}
		if wait.For(ctx, lookAgain) != nil {
			return c.explain(ctx, "create the topic "+missing[0].Topic, errors.Join(context.Cause(ctx), err))
		}
	}
	return nil
}

// named says which topic stands in the way of one whose name the broker refuses.
func (c *Client) named(ctx context.Context, name string, err error) error {
	if !errors.Is(err, kafkago.InvalidTopic) {
		return err
	}
	known, lookErr := c.api.Metadata(ctx, &kafkago.MetadataRequest{}) // all that this client may see
	if lookErr != nil {
		return err
	}
	for _, t := range known.Topics {
		if t.Name != name && TopicsCollide(t.Name, name) {
			return fmt.Errorf("%w: topic %q: there is %q, which differs in . and _ alone, and brokers take but one of the two: give another name, or delete that one: %w", ErrInvalid, name, t.Name, err)
		}
	}
	return err
}

func (c *Client) missing(ctx context.Context, topics []Topic) ([]kafkago.TopicConfig, error) {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	known, err := c.lookUp(ctx, func(*kafkago.MetadataResponse) error { return nil }, names...)
	if err != nil {
		return nil, c.explain(ctx, "look for topics", err)
	}
	var list []kafkago.TopicConfig
	for i, t := range topics {
		if known.Topics[i].Error == nil && len(known.Topics[i].Partitions) > 0 {
			continue
		}
		create := kafkago.TopicConfig{Topic: t.Name, NumPartitions: orDefault(t.Partitions), ReplicationFactor: orDefault(t.Replication)}
		for _, key := range slices.Sorted(maps.Keys(t.Config)) {
			create.ConfigEntries = append(create.ConfigEntries, kafkago.ConfigEntry{ConfigName: key, ConfigValue: t.Config[key]})
		}
		list = append(list, create)
	}
	return list, nil
}

func orDefault(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// uncreated returns the topics that neither were created nor existed.
func uncreated(asked []kafkago.TopicConfig, answers map[string]error) (rest []kafkago.TopicConfig, first error) {
	for _, t := range asked {
		err := answers[t.Topic]
		if err == nil || errors.Is(err, kafkago.TopicAlreadyExists) {
			continue
		}
		rest = append(rest, t)
		var code kafkago.Error
		if final := errors.As(err, &code) && !code.Temporary(); first == nil || final {
			first = err
		}
	}
	return rest, first
}

// awaitLeaders asks each leader of the topics until it knows them all: right after
// a creation it may refuse what it is sent.
func (c *Client) awaitLeaders(ctx context.Context, names []string) error {
	conns := c.conns(dialTimeout)
	for {
		err := c.leadersKnow(ctx, conns, names)
		if err == nil {
			return nil
		}
		if wait.For(ctx, lookAgain) != nil {
			return c.explain(ctx, "wait for the leaders of new topics", err)
		}
	}
}

func (c *Client) leadersKnow(ctx context.Context, conns *kafkago.Dialer, names []string) error {
	known, err := c.metadata(ctx, names...)
	if err != nil {
		return err
	}
	leaders := make(map[string]bool)
	for _, t := range known.Topics {
		if t.Error != nil {
			return t.Error
		}
		for _, p := range t.Partitions {
			if p.Leader.Host == "" {
				return kafkago.LeaderNotAvailable
			}
			leaders[net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port))] = true
		}
	}
	for address := range leaders {
		if err := knows(ctx, conns, address, names); err != nil {
			return err
		}
	}
	return nil
}

func knows(ctx context.Context, conns *kafkago.Dialer, address string, names []string) error {
	conn, err := conns.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(2 * dialTimeout)); err != nil {
		return err
	}
	_, err = conn.ReadPartitions(names...)
	return err
}

// Partitions returns the number of partitions of a topic; [ErrNoTopic] when there
// is none, after the moment in which it may just have been created.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	if err := ValidTopic(topic); err != nil {
		return 0, err
	}
	known, err := c.lookUp(ctx, missingTopic, topic)
	if err != nil {
		return 0, c.explain(ctx, "look for the topic "+topic, err)
	}
	return len(known.Topics[0].Partitions), nil
}

// lookUp returns the metadata of topics. What may be but a broken connection, a slow
// broker or, by the check, a new topic is looked at again for a moment.
func (c *Client) lookUp(ctx context.Context, check func(*kafkago.MetadataResponse) error, topics ...string) (*kafkago.MetadataResponse, error) {
	begin := time.Now()
	for {
		known, err := c.metadata(ctx, topics...)
		if err == nil {
			err = check(known)
		}
		patience := propagation
		switch {
		case err == nil:
			return known, nil
		case own(err), denied(err):
			return nil, err
		case errors.Is(err, context.DeadlineExceeded):
			patience = slowAnswer
		}
		if time.Since(begin) > patience || wait.For(ctx, lookAgain) != nil {
			return nil, err
		}
	}
}

func missingTopic(known *kafkago.MetadataResponse) error {
	for _, t := range known.Topics {
		if t.Error != nil {
			return t.Error
		}
		if len(t.Partitions) == 0 {
			return kafkago.UnknownTopicOrPartition
		}
	}
	return nil
}
