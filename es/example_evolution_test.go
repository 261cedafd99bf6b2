package es_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/asof-dev/asof/es"
)

type CheckoutEvent interface {
	es.Event
	checkout()
}

// Paid in its second shape.
type Paid struct {
	Amount   int64  `json:"amount"` // in the smallest unit
	Currency string `json:"currency"`
}

func (Paid) EventType() string { return "checkout.paid" }
func (Paid) EventSchema() int  { return 2 }
func (Paid) checkout()         {}

// paid1 is what it was.
type paid1 struct {
	Cents int64 `json:"cents"`
}

// Placed was called checkout.created.
type Placed struct{}

func (Placed) EventType() string { return "checkout.placed" }
func (Placed) checkout()         {}

// codec reads all that was ever written.
func checkoutCodec() es.Codec[CheckoutEvent] {
	return es.Upcast(es.JSON[CheckoutEvent](Placed{}, Paid{}),
		es.UpcastJSON("checkout.paid", 1, func(old paid1) (Paid, error) {
			return Paid{Amount: old.Cents, Currency: "EUR"}, nil
		}),
		es.Renamed("checkout.created", 1, "checkout.placed", 1))
}

// firstDeployment reads the second version, and writes the first.
func firstDeployment() es.Codec[CheckoutEvent] {
	return es.WriteAs(checkoutCodec(), "checkout.paid", 1, func(data []byte) ([]byte, error) {
		var p Paid
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, err
		}
		if p.Currency != "EUR" {
			return nil, errors.New("not before all processes know currencies")
		}
		return json.Marshal(paid1{p.Amount})
	})
}

func Example_evolution() {
	ctx := context.Background()
	for _, e := range []es.RecordedEvent{
		stored("checkout.created", 1, `{}`),
		stored("checkout.paid", 1, `{"cents":150}`),
		stored("checkout.paid", 2, `{"amount":200,"currency":"CHF"}`),
	} {
		event, err := es.One(checkoutCodec().Decode(ctx, nil, e))
		fmt.Printf("%s %+v %v\n", event.EventType(), event, err)
	}
	_, err := es.One(checkoutCodec().Decode(ctx, nil, stored("checkout.paid", 3, `{}`)))
	fmt.Println(errors.Is(err, es.ErrNewerSchema))
	data, err := firstDeployment().Encode(ctx, es.StreamID{}, Paid{Amount: 150, Currency: "EUR"})
	fmt.Println(data.Schema, string(data.Data), err)
	// Output:
	// checkout.placed {} <nil>
	// checkout.paid {Amount:150 Currency:EUR} <nil>
	// checkout.paid {Amount:200 Currency:CHF} <nil>
	// true
	// 1 {"cents":150} <nil>
}
