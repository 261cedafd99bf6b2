package kafka_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/es/kafka"
)

// A message that the broker refuses must not take others with it, and nothing of its
// call that follows it in its partition may be written.
func TestPublish_refuses_what_is_too_large_and_stops_its_line(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := unique("topic")
	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: topic, Partitions: 1, Config: map[string]string{"max.message.bytes": "1000"}}); err != nil {
		t.Fatal(err)
	}
	p := newProducer(t, c)
	list := numbered(topic, 10, 1)
	list[6].Value = make([]byte, 5000)
	err := p.Publish(testContext(t), list...)
	var failed *kafka.PublishError
	if !errors.As(err, &failed) || !errors.Is(err, kafka.ErrTooLarge) {
		t.Fatal(err)
	}
	for i, err := range failed.Errors {
		if (err == nil) != (i < 6) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	wantInOrder(t, list[:6], readAll(t, topic))
}

// The same for a message that a broker finds invalid, as it does one without a key for
// a compacted topic.
func TestPublish_refuses_what_is_invalid_and_nothing_before_it(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.ProduceRequest) // its key was asked for
		asked := request.Topics[0].Partitions[0]
		if !bytes.Contains(asked.Records, []byte("invalid")) {
			return nil, nil, false
		}
		answer := kmsg.NewProduceResponse()
		answer.Version = request.Version
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = request.Topics[0].Topic, request.Topics[0].TopicID
		partition := kmsg.NewProduceResponseTopicPartition()
		partition.Partition, partition.ErrorCode = asked.Partition, kerr.InvalidRecord.Code
		topic.Partitions = append(topic.Partitions, partition)
		answer.Topics = append(answer.Topics, topic)
		return &answer, nil, true
	})
	c, err := kafka.New(kafka.Config{Brokers: cluster.ListenAddrs(), Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	topic := newTopic(t, c, 1)
	p := newProducer(t, c)
	list := numbered(topic, 10, 1)
	list[6].Value = []byte("invalid")
	var failed *kafka.PublishError
	if err := p.Publish(testContext(t), list...); !errors.As(err, &failed) || !errors.Is(err, kafka.ErrInvalid) {
		t.Fatal(err)
	}
	for i, err := range failed.Errors {
		if (err == nil) != (i < 6) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if heads, err := c.Heads(testContext(t), topic); err != nil || heads[0] != 6 {
		t.Fatalf("%v, %v", heads, err)
	}
}

// Settings that a broker's policy or version refuses are final at once, whatever the
// patience; too few brokers for the replicas may be more tomorrow.
func TestEnsureTopics_ends_with_settings_that_the_broker_refuses(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]*kerr.Error{
		"a policy": kerr.PolicyViolation, "partitions": kerr.InvalidPartitions, "a setting": kerr.InvalidConfig, "its version": kerr.UnsupportedVersion,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			cluster.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				request := r.(*kmsg.CreateTopicsRequest) // its key was asked for
				answer := kmsg.NewCreateTopicsResponse()
				answer.Version = request.Version
				topic := kmsg.NewCreateTopicsResponseTopic()
				topic.Topic, topic.ErrorCode = request.Topics[0].Topic, code.Code
				answer.Topics = append(answer.Topics, topic)
				return &answer, nil, true
			})
			c, err := kafka.New(kafka.Config{Brokers: cluster.ListenAddrs()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			err = c.EnsureTopics(testContext(t), kafka.Topic{Name: "refused", Partitions: 1})
			if !errors.Is(err, kafka.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
		})
	}
}
