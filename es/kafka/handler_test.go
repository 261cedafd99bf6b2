package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/kafka"
)

func TestFetch_hands_out_what_was_asked_for(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	publish(t, newProducer(t, c), numbered(topic, 10, 1)...)
	done := make(chan error, 1)
	member := consume(t, kafka.Group{Name: unique("group"), Topics: []string{topic}}, func(ctx context.Context, part *kafka.Partition) error {
		done <- func() error {
			for _, step := range []struct {
				seek  int64
				limit int
				want  string
			}{
				{-1, 2, "[0 1]"}, {-1, 0, "[2]"}, {-1, -5, "[3]"},
				{7, 2, "[7 8]"}, // nothing of what was fetched before
				{1, 1, "[1]"},
				{0, 100, "[0 1 2 3 4 5 6 7 8 9]"},
			} {
				if step.seek >= 0 {
					part.SeekTo(step.seek)
				}
				messages, err := part.Fetch(ctx, step.limit)
				offsets := make([]int64, len(messages))
				for i, m := range messages {
					offsets[i] = m.Offset
				}
				if got := fmt.Sprint(offsets); err != nil || got != step.want {
					return fmt.Errorf("%+v: got %s, %w", step, got, err)
				}
			}
			return nil
		}()
		<-ctx.Done()
		return nil
	})
	if err := next(t, "the handler has fetched", done); err != nil {
		t.Error(err)
	}
	member.stop()
}

// A handler need not know whether its client may read.
func TestConsume_ends_where_the_client_may_not_read(t *testing.T) {
	t.Parallel()
	allow := func(resource kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true}
	}
	brokers, pool := guarded(t, kfake.EnableACLs(), kfake.User("PLAIN", "eve", "secret-3",
		allow(kmsg.ACLResourceTypeGroup, "group", kmsg.ACLOperationRead), allow(kmsg.ACLResourceTypeTopic, "topic", kmsg.ACLOperationDescribe)))
	connect := func(user, password string) *kafka.Client {
		c, err := kafka.New(kafka.Config{Brokers: brokers, TLS: &tls.Config{RootCAs: pool}, SASL: plain.Mechanism{Username: user, Password: password}, Logger: logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	ann := connect("ann", "secret-1")
	if err := ann.EnsureTopics(testContext(t), kafka.Topic{Name: "topic", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	for name, group := range map[string]string{"topic": "group", "group": "other"} {
		err := connect("eve", "secret-3").Consume(ctx, kafka.Group{Name: group, Topics: []string{"topic"}}, new(collector).collect)
		if !errors.Is(err, kafka.ErrDenied) || !strings.Contains(err.Error(), "ACL") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A topic gets more partitions while a producer lives that was told how many to use.
func TestPublish_keeps_to_the_partitions_that_Fix_has_said(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 2)
	p := newProducer(t, c)
	p.Fix(topic, 2)
	grow(t, c, topic, 6)
	fill(t, p, topic)
	heads, err := c.Heads(testContext(t), topic)
	if err != nil || heads[0]+heads[1] != 60 {
		t.Errorf("%v, %v", heads, err)
	}
}

// The messages of a call that have no key stay together, those of many calls do not.
func TestPublish_spreads_messages_without_a_key(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 3)
	p := newProducer(t, c)
	for range 6 {
		publish(t, p, kafka.Message{Topic: topic}, kafka.Message{Topic: topic})
	}
	heads, err := c.Heads(testContext(t), topic)
	if err != nil || heads[0] != 4 || heads[1] != 4 || heads[2] != 4 {
		t.Errorf("%v, %v", heads, err)
	}
}

// Close does not give up a message that is under way.
func TestClose_of_a_producer_waits_for_what_is_under_way(t *testing.T) {
	t.Parallel()
	f := newFaults(t)
	topic := newTopic(t, newClient(t), 1)
	p := f.client(t).NewProducer()
	publish(t, p, kafka.Message{Topic: topic})
	for _, broker := range embeddedtest.Brokers(t) {
		f.freeze(broker, true)
	}
	published, closed := make(chan error, 1), make(chan error, 1)
	go func() { published <- p.Publish(t.Context(), kafka.Message{Topic: topic, Value: make([]byte, 2000)}) }()
	eventually(t, "the message is under way", func() bool { return f.held.Load() > 0 })
	go func() { closed <- p.Close() }()
	eventuallySoon(t, "more is refused", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return errors.Is(p.Publish(ctx, kafka.Message{Topic: topic}), kafka.ErrClosed)
	})
	for _, broker := range embeddedtest.Brokers(t) {
		f.freeze(broker, false)
	}
	if err := next(t, "Publish returns", published); err != nil {
		t.Error(err)
	}
	if err := next(t, "Close returns", closed); err != nil {
		t.Error(err)
	}
}

// A topic that was just made is not known to every broker yet.
func TestEnsureTopics_waits_until_the_leaders_know_the_topic(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(2))
	c := clientOf(t, cluster)
	if err := c.Ping(testContext(t)); err != nil {
		t.Fatal(err)
	}
	var unknown atomic.Int64
	cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.MetadataRequest)
		if len(request.Topics) != 1 || request.Topics[0].Topic == nil || *request.Topics[0].Topic != "topic" || unknown.Load() == 5 {
			return nil, nil, false
		}
		unknown.Add(1)
		answer := request.ResponseKind().(*kmsg.MetadataResponse)
		one := kmsg.NewMetadataResponseTopic()
		one.Topic, one.ErrorCode = request.Topics[0].Topic, kerr.UnknownTopicOrPartition.Code
		answer.Topics = append(answer.Topics, one)
		return answer, nil, true
	})
	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: "topic", Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	if n := unknown.Load(); n != 5 {
		t.Errorf("it returned after %d of 5 answers that the topic is unknown", n)
	}
}

func TestLag_counts_what_is_kept(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	group := unique("group")
	publish(t, newProducer(t, c), numbered(topic, 10, 1)...)
	lag := func(want int64) {
		t.Helper()
		if got, err := c.Lag(testContext(t), group, topic); err != nil || got != want {
			t.Errorf("lag %d, %v: want %d", got, err, want)
		}
	}
	lag(10)
	setCommit(t, admin(t), group, topic, commitAt(2))
	lag(8)
	deleteBefore(t, topic, 5)
	lag(5)
	setCommit(t, admin(t), group, topic, commitAt(100))
	lag(0)
}

// A message that is nacked comes again after a pause, not as fast as can be.
func TestSubscriber_pauses_before_what_was_nacked_comes_again(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	topic := newTopic(t, c, 1)
	publish(t, newProducer(t, c), numbered(topic, 1, 1)...)
	messages, err := newSubscriber(t, c, kafka.SubscriberConfig{Group: unique("group")}).Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	const times = 5
	receive(t, messages).Nack()
	begin := time.Now()
	for range times {
		receive(t, messages).Nack()
	}
	if took := time.Since(begin); took < times*90*time.Millisecond {
		t.Errorf("it came %d times in %s", times, took)
	}
	receive(t, messages).Ack()
}

// Brokers before Kafka 2.8 know no ids of topics, those before 3.1 fetch by name.
func TestConsume_reads_from_older_brokers(t *testing.T) {
	t.Parallel()
	for version, versions := range map[string]*kversion.Versions{"2.4": kversion.V2_4_0(), "2.8": kversion.V2_8_0(), "3.0": kversion.V3_0_0()} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t, kfake.NumBrokers(2), kfake.MaxVersions(versions))
			c := clientOf(t, cluster)
			if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: "topic", Partitions: 1}); err != nil {
				t.Fatal(err)
			}
			p := newProducer(t, c)
			publish(t, p, entries("topic", "old", 10)...)
			var got collector
			ids := make(chan bool, 100)
			member := consumeBy(t, c, kafka.Group{Name: "group", Topics: []string{"topic"}}, func(ctx context.Context, part *kafka.Partition) error {
				_, known := part.TopicID()
				ids <- known
				return got.collect(ctx, part)
			})
			got.wait(t, 10)
			if known := <-ids; known != (version != "2.4") {
				t.Errorf("the topic's id is known: %t", known)
			}
			if version == "2.4" {
				member.stop()
				return // where nothing tells the topics apart
			}
			remakeOn(t, cluster.ListenAddrs(), c, "topic", 1)
			fresh := entries("topic", "new", 40)
			publish(t, p, fresh...)
			eventually(t, "all of the new topic is read", func() bool { return got.has(fresh) })
			member.stop()
		})
	}
}
