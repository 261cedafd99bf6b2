package kafka_test

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/asof-dev/asof/es/kafka"
)

// suite runs the whole of Watermill's conformance suite.
func suite(t *testing.T, client *kafka.Client, features tests.Features, partitions int) {
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

func TestPubSub(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	features := tests.Features{ConsumerGroups: true, Persistent: true, NewSubscriberReceivesOldMessages: true}
	if !raceDetector { // Watermill's TestReconnect has a race of its own
		features.RestartServiceCommand = onSignal(t, func() {
			f.close()
			f.open()
		})
	}
	suite(t, f.client(t), features, 8)
}

func TestPubSub_ordered(t *testing.T) {
	t.Parallel()
	suite(t, newClient(t), tests.Features{
		ConsumerGroups: true, Persistent: true, NewSubscriberReceivesOldMessages: true, GuaranteedOrder: true,
	}, 1)
}

// onSignal returns a command that makes this process call do.
func onSignal(t *testing.T, do func()) []string {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	ended, ending := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
				do()
			case <-ending:
				return
			}
		}
	}()
	t.Cleanup(func() {
		signal.Stop(signals)
		close(ending)
		<-ended
	})
	return []string{"kill", "-USR1", strconv.Itoa(os.Getpid())}
}
