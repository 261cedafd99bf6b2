package inbox_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/internal/exampletest"
)

// A router delivers messages to the handler; a second delivery does nothing.
func ExampleInbox_Handle() {
	t := &exampletest.T{}
	defer t.End()
	store := pgstoretest.New(t)
	box := inbox.New(store, "reserve-stock", inbox.WithTypes("order.placed"))
	handle := box.Handle(func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error {
		fmt.Println("reserve for order", e.Stream.ID)
		_, err := tx.Append(ctx, es.StreamID{Category: "reservation", ID: e.Stream.ID}, es.NoStream,
			es.EventData{ID: es.NewID(), Type: "reservation.made", Data: []byte(`{}`), Metadata: es.MetadataFrom(ctx)})
		return err
	})

	message := delivered("/orders", placed("o-1", 1, 1))
	fmt.Println(handle(message), handle(message))
	fmt.Printf("%+v\n", box.Counts())

	// Output:
	// reserve for order o-1
	// <nil> <nil>
	// {Reacted:1 Repeated:1 Skipped:0 Foreign:0 Broken:0 Late:0}
}

// Messages of other systems are no events of Asof's; HandleAny reacts to them too.
func ExampleInbox_HandleAny() {
	t := &exampletest.T{}
	defer t.End()
	box := inbox.New(pgstoretest.New(t), "greet", inbox.WithTypes("com.example.signup"))
	handle := box.HandleAny(func(_ context.Context, m *message.Message, _ *pgstore.Tx) error {
		fmt.Printf("%s says: %s\n", m.Metadata["ce_source"], m.Payload)
		return nil
	})

	signup := message.NewMessage("", []byte("welcome ann"))
	signup.Metadata = message.Metadata{"ce_specversion": "1.0", "ce_type": "com.example.signup", "ce_source": "crm", "ce_id": "17"}
	fmt.Println(handle(signup), handle(signup))

	// Output:
	// crm says: welcome ann
	// <nil> <nil>
}

// Once is for messages that do not come through a router of Watermill's.
func ExampleInbox_Once() {
	t := &exampletest.T{}
	defer t.End()
	payments := inbox.New(pgstoretest.New(t), "payments")
	for _, webhook := range []string{"evt_1", "evt_2", "evt_1"} {
		fresh, err := payments.Once(t.Context(), webhook, func(context.Context, *pgstore.Tx) error {
			return nil // append events through tx, write rows through tx.Tx()
		})
		fmt.Println(webhook, fresh, err)
	}

	// Output:
	// evt_1 true <nil>
	// evt_2 true <nil>
	// evt_1 false <nil>
}

// The store of the orders was put back to a backup, and begins another life. The
// reaction stops until somebody has seen to what it did of lost events.
func ExampleInbox_Accept() {
	t := &exampletest.T{}
	defer t.End()
	box := inbox.New(pgstoretest.New(t), "reserve-stock")
	handle := box.Handle(func(_ context.Context, e es.RecordedEvent, _ *pgstore.Tx) error {
		fmt.Println("reserve for order", e.Stream.ID)
		return nil
	})
	before, after := kafka.LifeHeader(es.NewID()), kafka.LifeHeader(es.NewID())

	_ = handle(delivered("/orders", placed("o-1", 1, 41), before))
	err := handle(delivered("/orders", placed("o-2", 1, 41), after))
	fmt.Println(errors.Is(err, es.ErrAnotherLife))

	if another, ok := errors.AsType[*inbox.AnotherLifeError](err); ok {
		// Nothing up to position 40 was lost: that is what repair was given.
		fmt.Println(box.Accept(t.Context(), another.Source, another.Life, 40))
	}
	fmt.Println(handle(delivered("/orders", placed("o-2", 1, 41), after)))

	// Output:
	// reserve for order o-1
	// true
	// <nil>
	// reserve for order o-2
	// <nil>
}
