package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

func Example() {
	brokers, err := kfake.NewCluster() // stands for yours
	if err != nil {
		panic(err)
	}
	defer brokers.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	client, err := kafka.New(kafka.Config{Brokers: brokers.ListenAddrs()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.EnsureTopics(ctx, kafka.Topic{Name: "orders", Partitions: 6}); err != nil {
		panic(err)
	}

	producer := client.NewProducer()
	defer func() { _ = producer.Close() }()
	if err := producer.Publish(ctx, kafka.Message{Topic: "orders", Key: []byte("o-1"), Value: []byte("placed")}); err != nil {
		panic(err)
	}

	err = client.Consume(ctx, kafka.Group{Name: "billing", Topics: []string{"orders"}}, func(ctx context.Context, part *kafka.Partition) error {
		for {
			messages, err := part.Fetch(ctx, 500)
			if err != nil {
				return err
			}
			for _, m := range messages {
				fmt.Printf("%s %s in partition %d\n", m.Key, m.Value, m.Partition)
			}
			part.Commit(messages[len(messages)-1].Offset + 1)
			cancel() // the example has seen enough
		}
	})
	fmt.Println("error:", err)
	// Output:
	// o-1 placed in partition 0
	// error: <nil>
}

func ExampleFlow() {
	brokers, err := kfake.NewCluster() // stands for yours
	if err != nil {
		panic(err)
	}
	defer brokers.Close()
	client, err := kafka.New(kafka.Config{Brokers: brokers.ListenAddrs()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = client.Close() }()
	ctx := context.Background()
	topic := kafka.Topic{Name: "orders", Partitions: 6, Config: map[string]string{"max.message.bytes": "1000"}}
	if err := client.EnsureTopics(ctx, topic); err != nil {
		panic(err)
	}
	producer := client.NewProducer()
	defer func() { _ = producer.Close() }()

	flow := producer.NewFlow(ctx)
	var pages []func() error
	for _, value := range []string{"placed", strings.Repeat("x", 5000), "shipped"} {
		acknowledged, err := flow.Send(kafka.Message{Topic: "orders", Key: []byte("o-1"), Value: []byte(value)})
		if errors.Is(err, kafka.ErrBehind) {
			break // it is known already
		}
		if err != nil {
			panic(err)
		}
		pages = append(pages, acknowledged)
	}
	fmt.Println("placed:", pages[0]())
	fmt.Println("too large:", errors.Is(pages[1](), kafka.ErrTooLarge))
	_, err = flow.Send(kafka.Message{Topic: "orders", Key: []byte("o-1"), Value: []byte("paid")})
	fmt.Println("behind it:", errors.Is(err, kafka.ErrBehind))
	// Output:
	// placed: <nil>
	// too large: true
	// behind it: true
}

func ExampleFromEvent() {
	m := kafka.FromEvent("/accounts", "eu.account", es.RecordedEvent{
		Recorded: es.Recorded{
			ID: uuid.MustParse("01a20fdb-ee8f-76d5-8d50-fcb17048bd19"), Type: "account.opened", Schema: 1,
			Stream: es.StreamID{Category: "account", ID: "a-17"}, Version: 1, Position: 42,
			RecordedAt: time.Date(2026, 11, 24, 12, 30, 0, 0, time.UTC),
		},
		Data: []byte(`{"owner":"ann"}`),
	})
	fmt.Printf("%s %s %s\n", m.Topic, m.Key, m.Value)
	for _, h := range m.Headers {
		fmt.Printf("%s: %s\n", h.Key, h.Value)
	}
	// Output:
	// eu.account a-17 {"owner":"ann"}
	// ce_specversion: 1.0
	// ce_id: 01a20fdb-ee8f-76d5-8d50-fcb17048bd19
	// ce_source: /accounts
	// ce_type: account.opened
	// ce_category: account
	// ce_subject: a-17
	// ce_time: 2026-11-24T12:30:00Z
	// content-type: application/json
	// ce_version: 1
	// ce_position: 42
	// ce_schema: 1
}
