package kafka_test

import (
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/asof-dev/asof/es/kafka"
)

// suite runs the whole of Watermill's conformance suite.
func suite(t *testing.T, features tests.Features, partitions int) {
	client := newClient(t)
	shared := unique("group")
	inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		pub, err := kafka.NewPublisher(client, kafka.PublisherConfig{})
		if err != nil {
			t.Fatal(err)
		}
		sub, err := kafka.NewSubscriber(client, kafka.SubscriberConfig{Group: group, Topic: kafka.Topic{Partitions: partitions}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = pub.Close(), sub.Close() }) // not every test of the suite does
		return pub, sub
	}
	pubSub := func(t *testing.T) (message.Publisher, message.Subscriber) {
		group := shared
		if strings.Contains(t.Name(), "TestNewSubscriberReceivesOldMessages") {
			group = unique("group") // in Kafka, who wants to see all messages is a group
		}
		return inGroup(t, group)
	}
	tests.TestPubSub(t, features, pubSub, inGroup)
}

// Only the suite's TestReconnect is left out, in which a goroutine still writes the list
// of what was published while it is compared: see TestSubscriber_goes_on_after_the_network_was_gone.
func TestPubSub(t *testing.T) {
	t.Parallel()
	suite(t, tests.Features{ConsumerGroups: true, Persistent: true, NewSubscriberReceivesOldMessages: true}, 8)
}

func TestPubSub_ordered(t *testing.T) {
	t.Parallel()
	suite(t, tests.Features{ConsumerGroups: true, Persistent: true, NewSubscriberReceivesOldMessages: true, GuaranteedOrder: true}, 1)
}
