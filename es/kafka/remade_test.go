package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/kafka"
)

// remake deletes a topic and makes it again.
func remake(t *testing.T, c *kafka.Client, topic string, partitions int) {
	t.Helper()
	remakeOn(t, embeddedtest.Brokers(t), c, topic, partitions)
}

func remakeOn(t *testing.T, brokers []string, c *kafka.Client, topic string, partitions int) {
	t.Helper()
	client := adminOf(t, brokers)
	deleteTopicOf(t, client, topic)
	eventually(t, "the topic is made again", func() bool {
		answer, err := client.CreateTopics(testContext(t), &kafkago.CreateTopicsRequest{
			Topics: []kafkago.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: -1}},
		})
		return err == nil && answer.Errors[topic] == nil
	})
	if err := c.EnsureTopics(testContext(t), kafka.Topic{Name: topic, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
}

// entries makes messages of one key whose values begin with a name.
func entries(topic, name string, n int) []kafka.Message {
	list := make([]kafka.Message, n)
	for i := range list {
		list[i] = kafka.Message{Topic: topic, Key: []byte("k"), Value: fmt.Appendf(nil, "%s %d", name, i)}
	}
	return list
}

// has reports whether all of the messages were collected.
func (c *collector) has(published []kafka.Message) bool {
	seen := map[string]bool{}
	for _, m := range c.list() {
		seen[string(m.Value)] = true
	}
	for _, m := range published {
		if !seen[string(m.Value)] {
			return false
		}
	}
	return true
}

// A handler is at work on the old topic while it is deleted, made again and filled
// beyond the old offset; then it commits.
func TestConsume_reads_all_of_a_topic_that_was_made_again_meanwhile(t *testing.T) {
	t.Parallel()
	for _, from := range []kafka.Start{kafka.First, kafka.Last} {
		for _, n := range []int{3, 10, 40} { // less than, as much as and more than the old one had
			t.Run(fmt.Sprint("from", from, "with", n), func(t *testing.T) {
				t.Parallel()
				c := newClient(t)
				p := newProducer(t, newClient(t))
				topic := newTopic(t, c, 1)
				atWork, goOn := make(chan struct{}), make(chan struct{})
				release := sync.OnceFunc(func() { close(goOn) })
				t.Cleanup(release)
				var once sync.Once
				var got collector
				joined := make(chan struct{}, 100)
				member := consume(t, kafka.Group{Name: unique("group"), Topics: []string{topic}, From: from}, func(ctx context.Context, part *kafka.Partition) error {
					joined <- struct{}{}
					for {
						messages, err := part.Fetch(ctx, 100)
						if err != nil {
							return err
						}
						got.add(messages)
						if len(got.list()) >= 10 {
							once.Do(func() {
								close(atWork)
								<-goOn
							})
						}
						part.Commit(messages[len(messages)-1].Offset + 1)
					}
				})
				<-joined
				publish(t, p, entries(topic, "old", 10)...)
				<-atWork
				remake(t, c, topic, 1)
				fresh := entries(topic, "new", n)
				publish(t, p, fresh...)
				release()
				eventually(t, "all of the new topic is read", func() bool { return got.has(fresh) })
				eventually(t, "all is committed", func() bool { lag, err := c.Lag(testContext(t), member.group, topic); return err == nil && lag == 0 })
				member.stop()
			})
		}
	}
}

// Nobody is a member while the topic is made again. The group's commit is written into
// the new topic afterwards, as by a member that was at work, or by a broker that keeps
// commits of deleted topics.
func TestConsume_ignores_a_commit_of_the_topic_that_was_there_before(t *testing.T) {
	t.Parallel()
	for n, from := range map[int]kafka.Start{3: kafka.First, 40: kafka.First, 20: kafka.Last} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			c := newClient(t)
			p := newProducer(t, newClient(t))
			topic := newTopic(t, c, 1)
			group := kafka.Group{Name: unique("group"), Topics: []string{topic}}
			publish(t, p, entries(topic, "old", 10)...)
			var before collector
			member := consume(t, group, before.collect)
			before.wait(t, 10)
			member.stop()
			commit := commitOf(t, group.Name, topic)
			if commit.Offset != 10 {
				t.Fatalf("%+v", commit)
			}
			remake(t, c, topic, 1)
			fresh := entries(topic, "new", n)
			publish(t, p, fresh...)
			setCommit(t, admin(t), group.Name, topic, commit)
			if lag, err := c.Lag(testContext(t), group.Name, topic); err != nil || lag != int64(n) {
				t.Errorf("lag %d, %v: want %d", lag, err, n)
			}
			var got collector
			group.From = from // which says nothing where the group has read before
			again := consume(t, group, got.collect)
			eventually(t, "all of the new topic is read", func() bool { return got.has(fresh) })
			again.stop()
		})
	}
}

// The commit of another client says nothing of the topic, and lies beyond its end.
func TestConsume_reads_all_where_the_commit_lies_beyond_the_end(t *testing.T) {
	t.Parallel()
	for _, from := range []kafka.Start{kafka.First, kafka.Last} {
		c := newClient(t)
		topic := newTopic(t, c, 1)
		group := kafka.Group{Name: unique("group"), Topics: []string{topic}, From: from}
		list := entries(topic, "new", 5)
		publish(t, newProducer(t, c), list...)
		setCommit(t, admin(t), group.Name, topic, kafkago.OffsetCommit{Offset: 100})
		var got collector
		member := consume(t, group, got.collect)
		eventually(t, "all is read", func() bool { return got.has(list) })
		member.stop()
	}
}

func commitOf(t *testing.T, group, topic string) kafkago.OffsetCommit {
	t.Helper()
	answer, err := admin(t).OffsetFetch(testContext(t), &kafkago.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
	if err != nil || answer.Error != nil || len(answer.Topics[topic]) != 1 {
		t.Fatal(err, answer)
	}
	p := answer.Topics[topic][0]
	return kafkago.OffsetCommit{Partition: p.Partition, Offset: p.CommittedOffset, Metadata: p.Metadata}
}

// setCommit commits for a group without members.
func setCommit(t *testing.T, client *kafkago.Client, group, topic string, commit kafkago.OffsetCommit) {
	t.Helper()
	eventually(t, "the commit is taken", func() bool {
		answer, err := client.OffsetCommit(testContext(t), &kafkago.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafkago.OffsetCommit{topic: {commit}}})
		return err == nil && answer.Topics[topic][0].Error == nil
	})
}

func commitAt(offset int64) kafkago.OffsetCommit { return kafkago.OffsetCommit{Offset: offset} }
