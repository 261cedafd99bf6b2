package jsonschema_test

import (
	"context"
	"fmt"
	"os"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/jsonschema"
)

func ExampleCanRead() {
	former := `{"type": "object", "properties": {"total": {"type": "integer"}, "note": {"type": "string"}}}`
	newer := `{"type": "object", "properties": {"total": {"type": "string"}, "note": {"type": "string"}}, "required": ["note"]}`
	problems, err := jsonschema.CanRead(newer, former)
	if err != nil {
		panic(err)
	}
	for _, p := range problems {
		fmt.Fprintln(os.Stdout, p)
	}
	// Output:
	// field note is required now: leave it optional
	// field total became string (it was integer): add a new field
}

type OrderPaid struct {
	Cents    int64  `json:"cents"`
	Currency string `json:"currency"`
}

func (OrderPaid) EventType() string { return "order.paid" }

func ExampleNew() {
	codec := jsonschema.New[es.Event](jsonschema.Of(OrderPaid{}, `{
		"type": "object",
		"properties": {"cents": {"type": "integer", "minimum": 1}, "currency": {"enum": ["CHF", "EUR"]}},
		"required": ["cents", "currency"],
		"additionalProperties": false
	}`))
	ctx, stream := context.Background(), es.StreamID{Category: "order", ID: "1"}

	data, err := codec.Encode(ctx, stream, OrderPaid{Cents: 150, Currency: "EUR"})
	fmt.Println(string(data.Data), data.Contract.Kind, err)
	_, err = codec.Encode(ctx, stream, OrderPaid{Cents: 0, Currency: "EUR"})
	fmt.Println(err)
	// Output:
	// {"cents":150,"currency":"EUR"} JSON <nil>
	// es: invalid: encode order.paid: cents does not fit minimum 1 (#/properties/cents/minimum)
}
