package protobuf_test

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/protobuf"
	"github.com/asof-dev/asof/es/schema/protobuf/internal/shoppb"
)

// paidCodec reads both versions; Paid and Paid2 are generated messages.
func paidCodec() es.Codec[es.Event] {
	return es.Upcast(protobuf.New[es.Event](&shoppb.Paid2{}),
		protobuf.Upcast("order.paid", 1, func(old *shoppb.Paid) (*shoppb.Paid2, error) {
			return &shoppb.Paid2{Amount: old.GetCents(), Currency: "EUR"}, nil
		}))
}

func ExampleNew() {
	ctx, codec := context.Background(), paidCodec()
	data, err := codec.Encode(ctx, es.StreamID{Category: "order", ID: "1"}, &shoppb.Paid2{Amount: 4200, Currency: "CHF"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(data.ContentType, len(data.Data), "bytes by")
	fmt.Print(data.Contract.Text)
	recorded := es.RecordedEvent{Recorded: es.Recorded{Type: data.Type, Schema: data.Schema}, ContentType: data.ContentType, Data: data.Data}
	event, err := es.One(codec.Decode(ctx, nil, recorded))
	if err != nil {
		fmt.Println(err)
		return
	}
	paid, ok := event.(*shoppb.Paid2)
	fmt.Println(paid.GetAmount(), paid.GetCurrency(), ok)
	// Output:
	// application/protobuf 8 bytes by
	// syntax = "proto3";
	// package shop;
	// message Paid2 {
	//   int64 amount = 1;
	//   string currency = 2;
	// }
	// 4200 CHF true
}

func ExampleCanRead() {
	former := `syntax = "proto3"; package shop;
		message OrderPlaced { int64 total = 1; string note = 2; repeated Line lines = 3; }
		message Line { string sku = 1; int32 price = 2; }`
	next := `syntax = "proto3"; package shop;
		message OrderPlaced { string total = 1; repeated Line lines = 3; }
		message Line { string article = 1; int64 price = 2; }`
	problems, err := protobuf.CanRead(next, former)
	if err != nil {
		fmt.Println(err)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// field total became string (it was int64): it reads another encoding: add a new field
	// field note is gone, and its number 2 and its name may be used again: reserve 2 and "note"
}

func ExampleCanReadNewer() {
	former := `syntax = "proto3"; message OrderPlaced { int64 total = 1; }`
	next := `syntax = "proto3"; message OrderPlaced { int64 total = 1; string note = 2; }`
	problems, err := protobuf.CanReadNewer(former, next)
	fmt.Println(len(problems), err)
	// Output: 0 <nil>
}
