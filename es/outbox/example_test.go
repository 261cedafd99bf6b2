package outbox_test

import (
	"context"
	"fmt"
	"time"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/outbox"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/internal/exampletest"
)

// place appends the first event of an order.
func place(ctx context.Context, store *pgstore.Store, id string) {
	_, err := store.Append(ctx, es.StreamID{Category: "order", ID: id}, es.NoStream,
		es.EventData{ID: es.NewID(), Type: "order.placed", Data: []byte(`{"cents":500}`)})
	if err != nil {
		panic(err)
	}
}

// published runs a relay until all is published.
func published(ctx context.Context, store *pgstore.Store, relay *outbox.Relay) outbox.Status {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		status, err := outbox.ReadStatus(ctx, store)
		if err != nil {
			panic(err)
		}
		if status.Lag == 0 {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		panic(err)
	}
	status, err := outbox.ReadStatus(context.Background(), store)
	if err != nil {
		panic(err)
	}
	return status
}

// A relay publishes what is appended, with the stream's id as the key.
func ExampleRelay_Run() {
	t := &exampletest.T{}
	defer t.End()
	store := pgstoretest.New(t)
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t)})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	place(ctx, store, "o-1")
	relay := outbox.New(store, client, "/orders", outbox.WithTopicPrefix("example-run."), outbox.WithPartitions(3))
	status := published(ctx, store, relay)
	fmt.Printf("position %d, %d events wait\n", status.Position, status.Lag)

	err = client.Consume(ctx, kafka.Group{Name: "billing", Topics: []string{"example-run.order"}}, func(ctx context.Context, part *kafka.Partition) error {
		messages, err := part.Fetch(ctx, 10)
		if err != nil {
			return err
		}
		event, err := kafka.ToEvent(messages[0])
		if err != nil {
			return err
		}
		fmt.Printf("%s version %d: %s %s\n", messages[0].Key, event.Version, event.Type, event.Data)
		cancel() // the example has seen enough
		return nil
	})
	if err != nil {
		panic(err)
	}

	// Output:
	// position 1, 0 events wait
	// o-1 version 1: order.placed {"cents":500}
}

// After a restore of the database a relay says ErrRestored. Look what was lost, then say
// so; the relay goes on in another life of the store, which its messages show.
func ExampleRepair() {
	t := &exampletest.T{}
	defer t.End()
	store := pgstoretest.New(t)
	client, err := kafka.New(kafka.Config{Brokers: embeddedtest.Brokers(t)})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx := context.Background()
	place(ctx, store, "o-1")
	before := published(ctx, store, outbox.New(store, client, "/orders", outbox.WithTopicPrefix("example-repair.")))

	if err := outbox.Repair(ctx, store, before.Position, outbox.EventsLost()); err != nil {
		panic(err)
	}
	place(ctx, store, "o-2")
	waiting, err := outbox.ReadStatus(ctx, store)
	if err != nil {
		panic(err)
	}
	fmt.Printf("position %d, %d events wait\n", waiting.Position, waiting.Lag)
	err = outbox.Repair(ctx, store, 7)
	fmt.Println(err)

	// Output:
	// position 1, 1 events wait
	// outbox: invalid: position 7: the log goes from 0 to 2
}

// Whoever runs the relay, the status says how far it is.
func ExampleReadStatus() {
	t := &exampletest.T{}
	defer t.End()
	store := pgstoretest.New(t)
	place(context.Background(), store, "o-1")

	status, err := outbox.ReadStatus(context.Background(), store)
	if err != nil {
		panic(err)
	}
	status.Behind = 0 // grows while nobody publishes
	fmt.Println(status)

	// Output:
	// position 0, 1 events and 0s behind, epoch 0, no relay is active
}
