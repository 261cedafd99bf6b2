package kafka

import (
	"context"
	"time"

	"github.com/google/uuid"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataWithIDs is the highest version that is understood of the request that says
// the ids of topics, which it does since Kafka 2.8.
const metadataWithIDs = 12

// topicState is what tells a topic from the one that it was before.
type topicState struct {
	ID         uuid.UUID `json:"id"`
	Partitions int       `json:"partitions"` // 0: there is none
}

// topicStates asks the brokers. What is missing has no partitions.
func (c *Client) topicStates(ctx context.Context, topics []string) (map[string]topicState, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		one := kmsg.NewMetadataRequestTopic()
		one.Topic = new(topic)
		request.Topics = append(request.Topics, one)
	}
	answer, err := as[*kmsg.MetadataResponse](c.exchange(ctx, request, metadataWithIDs))
	if err != nil {
		return nil, err
	}
	found := make(map[string]topicState, len(topics))
	for _, t := range answer.Topics {
		err := codeError(t.ErrorCode)
		switch {
		case err != nil && !unknownTopic(err):
			return nil, err
		case t.Topic != nil && err == nil:
			found[*t.Topic] = topicState{ID: t.TopicID, Partitions: len(t.Partitions)}
		}
	}
	return found, nil
}

// TopicID tells a topic from others of its name that were there before or will be. It is
// Nil where the brokers do not say, as before Kafka 2.8. Without a topic of the name it
// gives [ErrNoTopic].
func (c *Client) TopicID(ctx context.Context, topic string) (id uuid.UUID, err error) {
	err = c.retry(ctx, func(ctx context.Context) error {
		found, err := c.topicStates(ctx, []string{topic})
		if err == nil && found[topic].Partitions == 0 {
			err = kafkago.UnknownTopicOrPartition
		}
		id = found[topic].ID
		return err
	})
	return id, c.explain(ctx, "look for topic "+topic, err)
}

// changed reports topics of which a group must be told: made, made again or given more
// partitions. What is gone is not one: it may be made again, and a broker that has just
// begun may know no topic for a moment.
func changed(was, now map[string]topicState) bool {
	for topic, n := range now {
		if w := was[topic]; n.ID != w.ID || n.Partitions > w.Partitions {
			return true
		}
	}
	return false
}

// missing returns the topics that there are not.
func missing(topics []string, states map[string]topicState) (list []string) {
	for _, topic := range topics {
		if states[topic].Partitions == 0 {
			list = append(list, topic)
		}
	}
	return list
}

// watchTopicsEvery is how often a member looks at its topics.
const watchTopicsEvery = time.Second
