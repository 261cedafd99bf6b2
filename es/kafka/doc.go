// Package kafka carries events over Kafka: it stands on segmentio/kafka-go and
// adds what that leaves to its user.
//
//	client, err := kafka.New(kafka.Config{Brokers: []string{"localhost:9092"}})
//	err = client.EnsureTopics(ctx, kafka.Topic{Name: "orders", Partitions: 6})
//
//	producer := client.NewProducer()
//	err = producer.Publish(ctx, kafka.Message{Topic: "orders", Key: []byte("o-1"), Value: value})
//
//	err = client.Consume(ctx, kafka.Group{Name: "billing", Topics: []string{"orders"}},
//		func(ctx context.Context, part *kafka.Partition) error {
//			for {
//				messages, err := part.Fetch(ctx, 500)
//				if err != nil {
//					return err
//				}
//				… // handle them
//				part.Commit(messages[len(messages)-1].Offset + 1)
//			}
//		})
//
// # What holds
//
// A producer delivers at least once and keeps the order of each key through every
// retry: one request is under way per partition, and an unacknowledged one is sent
// again before anything else. A repetition may follow later messages, so whoever
// reads drops by version or by id.
//
// A consumer group hands a partition to one member at a time. When the partition
// is revoked the handler's context ends, its commits are written within the old
// generation, and a late commit of a former member is refused by the broker.
//
// A topic that is deleted and made again is another topic, and is read from its
// beginning. Messages of transactions are handed out when they are committed, and
// never when they are aborted.
//
// Events travel in the form of the CloudEvents 1.0 Kafka binding, binary mode:
// see [FromEvent]. [Publisher] and [Subscriber] are Watermill's.
package kafka
