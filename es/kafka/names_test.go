package kafka_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/es/kafka"
)

func TestValidTopic_takes_what_brokers_take(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", 249)
	for _, name := range []string{"a", "order", "Order.Item_2-x", "...", "_", "__mine", ".x", longest, "-"} {
		if err := kafka.ValidTopic(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"": "no name", ".": "no such name", "..": "no such name", longest + "a": "at most 249", "a b": "only A-Z a-z 0-9 . _ -", "ä": `'ä'`, "a/b": `'/'`, "a\x00": "only", "a\xff": "only",
		"__consumer_offsets": "for themselves", "__transaction_state": "for themselves", "__share_group_state": "for themselves", "__cluster_metadata": "for themselves",
		"__consumer.offsets": "for themselves", "..transaction.state": "for themselves",
	} {
		if err := kafka.ValidTopic(name); !errors.Is(err, kafka.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, pair := range [][2]string{{"order.item", "order_item"}, {"a", "a"}, {"._", "_."}} {
		if !kafka.TopicsCollide(pair[0], pair[1]) {
			t.Errorf("%v do not collide", pair)
		}
	}
	for _, pair := range [][2]string{{"order.item", "order-item"}, {"a", "b"}, {"a.", "a"}} {
		if kafka.TopicsCollide(pair[0], pair[1]) {
			t.Errorf("%v collide", pair)
		}
	}
	for _, prefix := range []string{"", "prod.", "_", longest[1:]} {
		if err := kafka.ValidTopicPrefix(prefix); err != nil {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
	for _, prefix := range []string{"a b", "ä", longest, "a/", "\x00"} {
		if err := kafka.ValidTopicPrefix(prefix); !errors.Is(err, kafka.ErrInvalid) {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

// What no broker takes is refused before any is asked.
func TestIllegal_topics_are_refused_at_once(t *testing.T) {
	t.Parallel()
	c, err := kafka.New(kafka.Config{Brokers: []string{closedPort(t)}, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx := testContext(t)
	begin := time.Now()
	for _, name := range []string{"", "a b", "__consumer_offsets", strings.Repeat("a", 250)} {
		_, partitions := c.Partitions(ctx, name)
		_, heads := c.Heads(ctx, name)
		_, lag := c.Lag(ctx, "group", name)
		for what, err := range map[string]error{
			"ensure": c.EnsureTopics(ctx, kafka.Topic{Name: name}), "partitions": partitions, "heads": heads, "lag": lag,
			"publish": newProducer(t, c).Publish(ctx, kafka.Message{Topic: name}),
			"consume": c.Consume(ctx, kafka.Group{Name: "group", Topics: []string{name}}, new(collector).collect),
		} {
			if !errors.Is(err, kafka.ErrInvalid) || errors.Is(err, kafka.ErrUnreachable) {
				t.Errorf("%s %.20q: %v", what, name, err)
			}
		}
	}
	prefix := strings.Repeat("a", 248)
	pub, err := kafka.NewPublisher(c, kafka.PublisherConfig{TopicPrefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pub.Close() }()
	sub := newSubscriber(t, c, kafka.SubscriberConfig{Group: "group", TopicPrefix: prefix})
	_, subscribe := sub.Subscribe(ctx, "ab")
	for what, err := range map[string]error{
		"publisher": pub.Publish("ab", message.NewMessage("1", nil)), "subscriber": subscribe, "initialize": sub.SubscribeInitialize("ab"),
	} {
		if !errors.Is(err, kafka.ErrInvalid) || !strings.Contains(err.Error(), "at most 249") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("it took %s", took)
	}
}

func TestConfigurations_that_cannot_work_are_refused(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, config := range []kafka.SubscriberConfig{
		{}, {Group: "g", From: 7}, {Group: "g", TopicPrefix: "a b"}, {Group: "g", Topic: kafka.Topic{Partitions: -1}}, {Group: "g", Topic: kafka.Topic{Replication: -1}},
	} {
		if _, err := kafka.NewSubscriber(c, config); !errors.Is(err, kafka.ErrInvalid) {
			t.Errorf("%+v: %v", config, err)
		}
	}
	for _, config := range []kafka.PublisherConfig{{Timeout: -1}, {TopicPrefix: "a b"}} {
		if _, err := kafka.NewPublisher(c, config); !errors.Is(err, kafka.ErrInvalid) {
			t.Errorf("%+v: %v", config, err)
		}
	}
	topic := newTopic(t, c, 1)
	for _, group := range []kafka.Group{{}, {Name: "g"}, {Topics: []string{topic}}, {Name: "g", Topics: []string{topic}, From: -1}, {Name: "g", Topics: []string{topic, topic}}} {
		if err := c.Consume(testContext(t), group, new(collector).collect); !errors.Is(err, kafka.ErrInvalid) {
			t.Errorf("%+v: %v", group, err)
		}
	}
	for _, topics := range [][]kafka.Topic{{{Name: "a", Partitions: -1}}, {{Name: "a", Replication: -1}}, {{Name: "a.b"}, {Name: "a_b"}}, {{Name: "a"}, {Name: "a"}}} {
		if err := c.EnsureTopics(testContext(t), topics...); !errors.Is(err, kafka.ErrInvalid) {
			t.Errorf("%+v: %v", topics, err)
		}
	}
}

// A name that collides with that of a topic is refused by the broker alone.
func TestEnsureTopics_says_which_topic_a_name_collides_with(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	there := unique("topic") + ".a"
	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: there, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(there, ".a") + "_a"
	err := c.EnsureTopics(testContext(t), kafka.Topic{Name: name, Partitions: 1})
	if !errors.Is(err, kafka.ErrInvalid) || !strings.Contains(err.Error(), there) || !strings.Contains(err.Error(), name) ||
		strings.Contains(err.Error(), "check that they run") || strings.Contains(err.Error(), "create it") {
		t.Fatal(err)
	}
}

// The topic in the way may be one that this client has no ACL for.
func TestEnsureTopics_ends_with_a_name_that_the_broker_refuses(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	cluster.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
		answer := r.ResponseKind().(*kmsg.CreateTopicsResponse)
		one := kmsg.NewCreateTopicsResponseTopic()
		one.Topic, one.ErrorCode = "topic", kerr.InvalidTopicException.Code
		answer.Topics = append(answer.Topics, one)
		return answer, nil, true
	})
	err := c.EnsureTopics(testContext(t), kafka.Topic{Name: "topic"})
	if !errors.Is(err, kafka.ErrInvalid) || errors.Is(err, kafka.ErrNoTopic) || !strings.Contains(err.Error(), "the broker refuses the topic's name") {
		t.Fatal(err)
	}
}
