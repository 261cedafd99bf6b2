package embedded_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// broker asks the embedded broker as any client would.
type broker struct {
	t      testing.TB
	client *kafka.Client
}

func dial(t testing.TB, brokers []string) broker {
	t.Helper()
	transport := &kafka.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return broker{t, &kafka.Client{Addr: kafka.TCP(brokers...), Transport: transport, Timeout: patience}}
}

// create makes a topic of one partition.
func (b broker) create(topic string) {
	b.t.Helper()
	answer, err := b.client.CreateTopics(within(b.t), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}},
	})
	if err := errors.Join(err, answer.Errors[topic]); err != nil {
		b.t.Fatal(err)
	}
}

// produce returns when the message is acknowledged.
func (b broker) produce(topic, value string) error {
	answer, err := b.client.Produce(b.t.Context(), &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Time: time.Now(), Value: kafka.NewBytes([]byte(value))}),
	})
	if err != nil {
		return err
	}
	return answer.Error
}

// values are those of the topic's messages.
func (b broker) values(topic string) map[string]bool {
	b.t.Helper()
	set := map[string]bool{}
	for next, end := int64(0), b.end(topic); next < end; {
		answer, err := b.client.Fetch(within(b.t), &kafka.FetchRequest{Topic: topic, Offset: next, MaxBytes: 1 << 20, MaxWait: time.Second})
		if err := errors.Join(err, answer.Error); err != nil {
			b.t.Fatal(err)
		}
		for {
			record, err := answer.Records.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.t.Fatal(err)
			}
			value, err := kafka.ReadAll(record.Value)
			if err != nil {
				b.t.Fatal(err)
			}
			set[string(value)] = true
			next = record.Offset + 1
		}
	}
	return set
}

func (b broker) end(topic string) int64 {
	b.t.Helper()
	answer, err := b.client.ListOffsets(within(b.t), &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: {kafka.LastOffsetOf(0)}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	partition := answer.Topics[topic][0]
	if partition.Error != nil {
		b.t.Fatal(partition.Error)
	}
	return partition.LastOffset
}

// commit keeps a group's offset.
func (b broker) commit(group, topic string, offset int64) {
	b.t.Helper()
	answer, err := b.client.OffsetCommit(within(b.t), &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: offset}}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := answer.Topics[topic][0].Error; err != nil {
		b.t.Fatal(err)
	}
}

func (b broker) committed(group, topic string) int64 {
	b.t.Helper()
	answer, err := b.client.OffsetFetch(within(b.t), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
	if err := errors.Join(err, answer.Error); err != nil {
		b.t.Fatal(err)
	}
	return answer.Topics[topic][0].CommittedOffset
}
