package reactions_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/reactions"
	"github.com/asof-dev/asof/internal/exampletest"
)

// OrderPlaced is what the reaction reads of another service's event, and no more.
type OrderPlaced struct {
	Items int `json:"items"`
}

func (OrderPlaced) EventType() string { return "order.placed" }

// A reaction reserves the items of each order.
func ExampleRun() {
	t := &exampletest.T{}
	defer t.End()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	store := pgstoretest.New(t)
	client, prefix := brokers(t)
	publish(ctx, client, prefix+"order", `{"items":3,"note":"not read"}`)

	err := reactions.Run(ctx, reactions.Reaction[es.Event]{
		Name: "reservations", Store: store, Kafka: client, TopicPrefix: prefix, Topics: []string{"order"},
		Codec: es.JSON[es.Event](OrderPlaced{}), Log: slog.New(slog.DiscardHandler),
		React: func(ctx context.Context, e es.Event, r es.Recorded, tx *pgstore.Tx) error {
			defer stop() // one is enough here
			fmt.Printf("%s: reserve %d items\n", r.Stream, e.(OrderPlaced).Items)
			reserved := es.EventData{ID: es.NewID(), Type: "reservation.made", Data: []byte(`{}`), Metadata: es.MetadataFrom(ctx)}
			_, err := tx.Append(ctx, es.StreamID{Category: "reservation", ID: r.Stream.ID}, es.NoStream, reserved)
			return err
		},
	})
	fmt.Println(err)

	// Output:
	// order/o-1: reserve 3 items
	// <nil>
}

func publish(ctx context.Context, client *kafka.Client, topic, data string) {
	if err := client.EnsureTopics(ctx, kafka.Topic{Name: topic, Partitions: 1}); err != nil {
		panic(err)
	}
	producer := client.NewProducer()
	if err := producer.Publish(ctx, ofOrder(topic, 1, data)); err != nil {
		panic(err)
	}
	if err := producer.Close(); err != nil {
		panic(err)
	}
}

// ofOrder is a message of an event of an order, as another service's relay publishes it.
func ofOrder(topic string, version es.Version, data string) kafka.Message {
	e := es.RecordedEvent{Data: []byte(data)}
	e.ID, e.Type, e.Schema = es.NewID(), "order.placed", 1
	e.Stream, e.Version = es.StreamID{Category: "order", ID: "o-1"}, version
	return kafka.FromEvent("/orders", topic, e)
}

// The message that fails waits, and with it the later ones of its stream, until somebody
// has corrected the program.
func ExampleReactor_RetryAll() {
	t := &exampletest.T{}
	defer t.End()
	ctx, store := t.Context(), pgstoretest.New(t)
	correct := false
	reactor := reactions.New(reactions.Reaction[es.Event]{
		Name: "reservations", Store: store, Topics: []string{"order"}, Tries: 1, Log: slog.New(slog.DiscardHandler),
		Codec: es.JSON[es.Event](OrderPlaced{}),
		React: func(_ context.Context, e es.Event, r es.Recorded, _ *pgstore.Tx) error {
			if e.(OrderPlaced).Items > 100 && !correct {
				return errors.New("more than a shelf has")
			}
			fmt.Printf("%s version %d: reserve %d items\n", r.Stream, r.Version, e.(OrderPlaced).Items)
			return nil
		},
	})
	fmt.Println(reactor.Deliver(ctx, ofOrder("order", 1, `{"items":200}`)), reactor.Deliver(ctx, ofOrder("order", 2, `{"items":1}`)))

	list, err := reactions.ListParked(ctx, store, "reservations")
	fmt.Println(list[0].Error, list[0].Attempts, list[1].Behind == list[0].Number, err)

	correct = true
	done, err := reactor.RetryAll(ctx)
	fmt.Printf("%+v %v\n", done, err)

	// Output:
	// <nil> <nil>
	// more than a shelf has 1 true <nil>
	// order/o-1 version 1: reserve 200 items
	// order/o-1 version 2: reserve 1 items
	// {Reacted:2 Parked:0} <nil>
}

// Any takes what is no event of Asof's.
func ExampleReactor_Deliver() {
	t := &exampletest.T{}
	defer t.End()
	reactor := reactions.New(reactions.Reaction[es.Event]{
		Name: "greet", Store: pgstoretest.New(t), Topics: []string{"signups"}, Log: slog.New(slog.DiscardHandler),
		Any: func(_ context.Context, m *message.Message, _ *pgstore.Tx) error {
			fmt.Printf("%s says: %s\n", m.Metadata["ce_source"], m.Payload)
			return nil
		},
	})
	signup := kafka.Message{Topic: "signups", Value: []byte("welcome ann"), Headers: []kafka.Header{
		{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_type", Value: []byte("com.example.signup")},
		{Key: "ce_source", Value: []byte("crm")}, {Key: "ce_id", Value: []byte("17")},
	}}
	for range 2 {
		if err := reactor.Deliver(t.Context(), signup); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Printf("%+v\n", reactor.Counts())

	// Output:
	// crm says: welcome ann
	// {Reacted:1 Repeated:1 Skipped:0 Parked:0 Late:0 Waiting:0}
}
