package kafka_test

import (
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es/kafka"
)

func TestKeyPartition_is_that_of_Java_clients(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "key")
		n := rapid.IntRange(1, 64).Draw(t, "partitions")
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		want := kafkago.Murmur2Balancer{Consistent: true}.Balance(kafkago.Message{Key: key}, all...)
		if got := kafka.KeyPartition(key, n); got != want {
			t.Fatalf("%d, kafka-go says %d", got, want)
		}
	})
}
