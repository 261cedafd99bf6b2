package kafka_test

import (
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/kafka"
)

// admin asks the brokers what es/kafka does not.
func admin(t *testing.T) *kafkago.Client {
	t.Helper()
	return adminOf(t, embeddedtest.Brokers(t))
}

func adminOf(t *testing.T, brokers []string) *kafkago.Client {
	t.Helper()
	transport := &kafkago.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafkago.Client{Addr: kafkago.TCP(brokers...), Transport: transport}
}

// grow gives a topic more partitions and returns when clients see them.
func grow(t *testing.T, c *kafka.Client, topic string, partitions int) {
	t.Helper()
	answer, err := admin(t).CreatePartitions(testContext(t), &kafkago.CreatePartitionsRequest{
		Topics: []kafkago.TopicPartitionsConfig{{Name: topic, Count: int32(partitions)}},
	})
	if err != nil || answer.Errors[topic] != nil {
		t.Fatal(err, answer)
	}
	eventually(t, "the new partitions are seen", func() bool {
		n, err := c.Partitions(testContext(t), topic)
		return err == nil && n == partitions
	})
}

// fill publishes to every partition of a topic and returns how many messages.
func fill(t *testing.T, p *kafka.Producer, topics ...string) int {
	t.Helper()
	n := 0
	for _, topic := range topics {
		list := numbered(topic, 60, 60)
		publish(t, p, list...)
		n += len(list)
	}
	return n
}

// Members of one group read different topics. Only one of them leads the group, and it
// knows nothing of the topics of others.
func TestConsume_reads_new_partitions_of_every_members_topic(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	p := newProducer(t, c)
	first, second, third := newTopic(t, c, 2), newTopic(t, c, 2), newTopic(t, c, 1)
	name := unique("group")
	var got collector
	leader := consume(t, kafka.Group{Name: name, Topics: []string{first}}, got.collect)
	want := fill(t, p, first)
	got.wait(t, want) // so that it leads
	other := consume(t, kafka.Group{Name: name, Topics: []string{second, third}}, got.collect)
	want += fill(t, p, second, third)
	got.wait(t, want)

	grow(t, c, second, 5)
	want += fill(t, p, second)
	got.wait(t, want)
	grow(t, c, first, 4)
	grow(t, c, third, 3)
	want += fill(t, p, first, third)
	got.wait(t, want)

	leader.stop() // then another leads
	grow(t, c, second, 6)
	want += fill(t, p, second)
	got.wait(t, want)
	other.stop()
}

// Two subscriptions of one subscriber are two members of its group.
func TestSubscriber_reads_new_partitions_of_all_its_topics(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	p := newProducer(t, c)
	topics := []string{newTopic(t, c, 1), newTopic(t, c, 1)}
	s := newSubscriber(t, c, kafka.SubscriberConfig{Group: unique("group")})
	for i, topic := range topics {
		messages, err := s.Subscribe(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		read := func(n int) {
			for range n {
				receive(t, messages).Ack()
			}
		}
		read(fill(t, p, topic))
		grow(t, c, topic, 3+i)
		read(fill(t, p, topic))
	}
}

// A member that has no partition at first gets one of the new ones.
func TestConsume_gives_new_partitions_to_a_member_without_any(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	p := newProducer(t, c)
	topic := newTopic(t, c, 1)
	group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
	var one, two collector
	first := consume(t, group, one.collect)
	one.wait(t, fill(t, p, topic))
	second := consume(t, group, two.collect)
	members := func() int {
		answer, err := admin(t).DescribeGroups(testContext(t), &kafkago.DescribeGroupsRequest{GroupIDs: []string{group.Name}})
		if err != nil || len(answer.Groups) != 1 {
			return 0
		}
		return len(answer.Groups[0].Members)
	}
	eventually(t, "both are members", func() bool { return members() == 2 })
	grow(t, c, topic, 8)
	want := 60 + fill(t, p, topic)
	eventually(t, "both read, and everything", func() bool { return two.distinct() > 0 && one.distinct()+two.distinct() >= want })
	first.stop()
	second.stop()
}
