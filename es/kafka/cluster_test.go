package kafka_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/es/kafka"
)

// soon is how long a test waits for what comes in a second or never.
const soon = 15 * time.Second

// newCluster is a cluster of this test alone, whose answers it can change.
func newCluster(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func clientOf(t *testing.T, cluster *kfake.Cluster) *kafka.Client {
	t.Helper()
	c, err := kafka.New(kafka.Config{Brokers: cluster.ListenAddrs(), Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// next receives within a time in which it should have come long ago.
func next[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(soon):
		t.Fatalf("in %s it did not come to pass that %s", soon, what)
		panic("unreachable")
	}
}

// answerCommit answers a commit with a code for each partition.
func answerCommit(r kmsg.Request, code int16) kmsg.Response {
	request := r.(*kmsg.OffsetCommitRequest)
	answer := request.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, topic := range request.Topics {
		one := kmsg.NewOffsetCommitResponseTopic()
		one.Topic = topic.Topic
		for _, p := range topic.Partitions {
			partition := kmsg.NewOffsetCommitResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, code
			one.Partitions = append(one.Partitions, partition)
		}
		answer.Topics = append(answer.Topics, one)
	}
	return answer
}

// The handler goes on and commits more while a commit is under way that fails.
func TestCommit_that_failed_is_written_again_unless_there_is_a_newer_one(t *testing.T) {
	t.Parallel()
	for name, newer := range map[string]bool{"newer": true, "none": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t, kfake.NumBrokers(1))
			c := clientOf(t, cluster)
			topic := newTopic(t, c, 1)
			publish(t, newProducer(t, c), numbered(topic, 10, 1)...)
			part := make(chan *kafka.Partition, 1)
			commits := make(chan int64, 100)
			var p *kafka.Partition
			cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				commits <- r.(*kmsg.OffsetCommitRequest).Topics[0].Partitions[0].Offset
				if p == nil { // the first of them
					if p = <-part; newer {
						p.Commit(7)
					}
					return answerCommit(r, kerr.CoordinatorLoadInProgress.Code), nil, true
				}
				return nil, nil, false
			})
			member := consumeBy(t, c, kafka.Group{Name: "group", Topics: []string{topic}}, func(ctx context.Context, p *kafka.Partition) error {
				p.Commit(3)
				part <- p
				<-ctx.Done()
				return nil
			})
			want := int64(3)
			if first := next(t, "a commit is written", commits); first != 3 {
				t.Fatalf("the first commit is %d", first)
			}
			if newer {
				want = 7
			}
			if again := next(t, "it is written again", commits); again != want {
				t.Errorf("then %d was committed, want %d", again, want)
			}
			member.stop()
			if lag, err := c.Lag(testContext(t), "group", topic); err != nil || lag != 10-want {
				t.Errorf("lag %d, %v", lag, err)
			}
		})
	}
}

// The last commit of a generation fails once.
func TestCommit_that_failed_when_the_member_leaves_is_written_again(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	topic := newTopic(t, c, 1)
	publish(t, newProducer(t, c), numbered(topic, 10, 1)...)
	var failed atomic.Bool
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		failed.Store(true)
		return answerCommit(r, kerr.CoordinatorLoadInProgress.Code), nil, true
	})
	ready := make(chan struct{}, 1)
	member := consumeBy(t, c, kafka.Group{Name: "group", Topics: []string{topic}}, func(ctx context.Context, p *kafka.Partition) error {
		ready <- struct{}{}
		<-ctx.Done()
		p.Commit(10)
		return nil
	})
	next(t, "the partition is assigned", ready)
	member.stop()
	if lag, err := c.Lag(testContext(t), "group", topic); err != nil || lag != 0 || !failed.Load() {
		t.Errorf("lag %d, %v, failed: %t", lag, err, failed.Load())
	}
}

// A member that the group does not know any more writes nothing: its generation is over.
func TestCommit_is_not_tried_again_when_the_group_knows_the_member_no_more(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.FencedInstanceID} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t, kfake.NumBrokers(1))
			c := clientOf(t, cluster)
			topic := newTopic(t, c, 1)
			refused := make(chan struct{}, 1000)
			cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				refused <- struct{}{}
				return answerCommit(r, code.Code), nil, true
			})
			part := make(chan *kafka.Partition, 1)
			member := consumeBy(t, c, kafka.Group{Name: "group", Topics: []string{topic}}, func(ctx context.Context, p *kafka.Partition) error {
				p.Commit(3)
				part <- p
				<-ctx.Done()
				return nil
			})
			p := next(t, "the partition is assigned", part)
			next(t, "the commit is refused", refused)
			begin := time.Now()
			eventually(t, "a while has passed", func() bool { p.Commit(4); return time.Since(begin) > time.Second })
			member.stop()
			if n := len(refused); n != 0 {
				t.Errorf("%d more commits were sent", n)
			}
		})
	}
}

// An error of the group's coordinator is no sign that there is no commit.
func TestConsume_asks_again_for_commits_that_cannot_be_read(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	topic := newTopic(t, c, 1)
	group := kafka.Group{Name: "group", Topics: []string{topic}, From: kafka.Last}
	publish(t, newProducer(t, c), numbered(topic, 10, 1)...)
	setCommit(t, adminOf(t, cluster.ListenAddrs()), group.Name, topic, kafkago.OffsetCommit{Offset: 6})
	for i := range 6 {
		cluster.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
			if i%2 == 1 { // says nothing of the partition
				return r.ResponseKind(), nil, true
			}
			return answerNone(r, kerr.UnstableOffsetCommit.Code), nil, true
		})
	}
	var got collector
	member := consumeBy(t, c, group, got.collect)
	got.wait(t, 4)
	member.stop()
	if list := got.list(); list[0].Offset != 6 {
		t.Errorf("read from %d, and 6 was committed", list[0].Offset)
	}
}

// answerNone answers that the group has no commit, as brokers do that drop the commits
// in a topic with the topic.
func answerNone(r kmsg.Request, code int16) kmsg.Response {
	request := r.(*kmsg.OffsetFetchRequest)
	answer := request.ResponseKind().(*kmsg.OffsetFetchResponse)
	for _, topic := range request.Topics {
		one := kmsg.NewOffsetFetchResponseTopic()
		one.Topic = topic.Topic
		for _, p := range topic.Partitions {
			partition := kmsg.NewOffsetFetchResponseTopicPartition()
			partition.Partition, partition.Offset, partition.ErrorCode = p, -1, code
			one.Partitions = append(one.Partitions, partition)
		}
		answer.Topics = append(answer.Topics, one)
	}
	return answer
}

// The end from which a group began is one of the topic that was there then.
func TestConsume_from_Last_reads_all_of_a_topic_that_was_made_again(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	topic := newTopic(t, c, 1)
	p := newProducer(t, c)
	publish(t, p, entries(topic, "old", 10)...)
	cluster.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return answerNone(r, 0), nil, true
	})
	var got collector
	joined := make(chan struct{}, 100)
	member := consumeBy(t, c, kafka.Group{Name: "group", Topics: []string{topic}, From: kafka.Last}, func(ctx context.Context, part *kafka.Partition) error {
		joined <- struct{}{}
		return got.collect(ctx, part)
	})
	next(t, "the partition is assigned", joined)
	remakeOn(t, cluster.ListenAddrs(), c, topic, 1)
	fresh := entries(topic, "new", 40)
	publish(t, p, fresh...)
	eventuallySoon(t, "all of the new topic is read", func() bool { return got.has(fresh) })
	member.stop()
}

// A member that cannot look at its topics for the moment keeps its place in the group.
func TestConsume_joins_again_while_the_topics_cannot_be_looked_at(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	topic := newTopic(t, c, 2)
	var broken atomic.Bool
	cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.MetadataRequest)
		if !broken.Load() || request.Version < 10 || len(request.Topics) == 0 {
			return nil, nil, false
		}
		return nil, errors.New("the connection breaks"), true
	})
	group := kafka.Group{Name: "group", Topics: []string{topic}}
	one, two := make(chan int, 100), make(chan int, 100)
	handle := func(parts chan int) func(context.Context, *kafka.Partition) error {
		return func(ctx context.Context, part *kafka.Partition) error {
			parts <- part.Number()
			<-ctx.Done()
			return nil
		}
	}
	first := consumeBy(t, c, group, handle(one))
	next(t, "it has a partition", one)
	next(t, "it has the other", one)
	second := consumeBy(t, clientOf(t, cluster), group, handle(two))
	next(t, "each has one", two)
	next(t, "each has one", one)
	broken.Store(true)
	second.stop()
	if a, b := next(t, "it has a partition", one), next(t, "it has both", one); a == b {
		t.Errorf("partition %d twice", a)
	}
	first.stop()
}

// Compaction leaves holes: the last records of a batch may be gone, and no more than
// one batch may come at a time.
func TestFetch_goes_on_after_what_compaction_has_removed(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	topic := unique("topic")
	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: topic, Partitions: 1, Config: map[string]string{"cleanup.policy": "compact"}}); err != nil {
		t.Fatal(err)
	}
	p := newProducer(t, c)
	large := make([]byte, 900_000)
	publish(t, p, kafka.Message{Topic: topic, Key: []byte("kept"), Value: large}, kafka.Message{Topic: topic, Key: []byte("twice")}, kafka.Message{Topic: topic, Key: []byte("twice")})
	publish(t, p, kafka.Message{Topic: topic, Key: []byte("twice"), Value: large})
	publish(t, p, kafka.Message{Topic: topic, Key: []byte("last"), Value: large})
	cluster.Compact()
	var got collector
	member := consumeBy(t, c, kafka.Group{Name: "group", Topics: []string{topic}}, got.collect)
	eventuallySoon(t, "all that is left is read", func() bool { return len(got.list()) >= 3 })
	member.stop()
	var offsets []int64
	for _, m := range got.list() {
		offsets = append(offsets, m.Offset)
	}
	if !slices.Equal(offsets, []int64{0, 3, 4}) {
		t.Errorf("read the offsets %v", offsets)
	}
}

// A batch is damaged on its way, or cut off.
func TestFetch_asks_again_for_what_came_damaged(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	topic := newTopic(t, c, 1)
	published := numbered(topic, 10, 1)
	publish(t, newProducer(t, c), published...)
	for range 3 {
		cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
			request := r.(*kmsg.FetchRequest)
			answer := request.ResponseKind().(*kmsg.FetchResponse)
			one, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
			one.Topic, one.TopicID = request.Topics[0].Topic, request.Topics[0].TopicID
			partition.RecordBatches = batch(0, 0, nil, 0)
			partition.RecordBatches[len(partition.RecordBatches)-2] ^= 1
			one.Partitions = append(one.Partitions, partition)
			answer.Topics = append(answer.Topics, one)
			return answer, nil, true
		})
	}
	var got collector
	member := consumeBy(t, c, kafka.Group{Name: "group", Topics: []string{topic}}, got.collect)
	got.wait(t, 10)
	member.stop()
	wantInOrder(t, published, got.list())
}

// The leader of a partition does not answer, and another takes over.
func TestPublish_goes_to_the_new_leader_while_the_old_one_is_silent(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(2))
	f := newFaults(t)
	c, err := kafka.NewThrough(kafka.Config{Brokers: cluster.ListenAddrs(), Logger: logger(t)}, f.dial)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	topic := newTopic(t, c, 1)
	p := newProducer(t, c)
	publish(t, p, kafka.Message{Topic: topic, Value: []byte("before")})
	old := cluster.LeaderFor(topic, 0)
	f.freeze(cluster.ListenAddrs()[old], true)
	ctx, cancel := context.WithTimeout(t.Context(), soon) // less than a request may take
	defer cancel()
	published := make(chan error, 1)
	go func() { published <- p.Publish(ctx, kafka.Message{Topic: topic, Value: []byte("after")}) }()
	if err := cluster.MoveTopicPartition(topic, 0, 1-old); err != nil {
		t.Fatal(err)
	}
	if err := <-published; err != nil {
		t.Error(err)
	}
	f.freeze(cluster.ListenAddrs()[old], false)
}

// Brokers refuse a request that is larger than message.max.bytes, whatever it carries.
func TestPublish_sends_no_more_at_once_than_a_broker_takes(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.NumBrokers(1))
	c := clientOf(t, cluster)
	topic := newTopic(t, c, 1)
	var requests, largest atomic.Int64
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		requests.Add(1)
		largest.Store(max(largest.Load(), int64(len(r.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records))))
		return nil, nil, false
	})
	list := numbered(topic, 100, 7)
	for i := range list {
		list[i].Headers = []kafka.Header{{Key: "large", Value: make([]byte, 50_000)}}
	}
	publish(t, newProducer(t, c), list...)
	if requests.Load() > 12 || largest.Load() > 1_048_588 {
		t.Errorf("5 MB went in %d requests, the largest of %d bytes", requests.Load(), largest.Load())
	}
}

func eventuallySoon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(soon)
	eventually(t, what, func() bool {
		if time.Now().After(deadline) {
			t.Fatalf("in %s it did not come to pass that %s", soon, what)
		}
		return holds()
	})
}
