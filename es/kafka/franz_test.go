package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/asof-dev/asof/embedded/embeddedtest"
)

// franz is a client of another make.
func franz(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(embeddedtest.Brokers(t)...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// deleteBefore removes the first messages of partition 0, as retention does.
func deleteBefore(t *testing.T, topic string, offset int64) {
	t.Helper()
	partition := kmsg.NewDeleteRecordsRequestTopicPartition()
	partition.Offset = offset
	one := kmsg.NewDeleteRecordsRequestTopic()
	one.Topic, one.Partitions = topic, append(one.Partitions, partition)
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.Topics, request.TimeoutMillis = append(request.Topics, one), 5000
	client := franz(t)
	eventually(t, "messages are deleted", func() bool {
		for _, shard := range client.RequestSharded(testContext(t), request) {
			if shard.Err != nil || kerr.ErrorForCode(shard.Resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode) != nil {
				t.Log(shard.Err, shard.Resp)
				return false
			}
		}
		return true
	})
}
