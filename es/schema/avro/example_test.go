package avro_test

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/avro"
)

// Charged is an event whose payload is Avro.
type Charged struct {
	Amount   int64  `avro:"amount"`
	Currency string `avro:"currency"`
}

func (Charged) EventType() string { return "checkout.charged" }
func (Charged) EventSchema() int  { return 2 }

const chargedSchema = `{"type": "record", "name": "checkout.Charged", "fields": [
	{"name": "amount", "type": "long", "doc": "in the smallest unit"},
	{"name": "currency", "type": "string", "default": "EUR"}]}`

// What it was before.
type charged1 struct {
	Cents int64 `avro:"cents"`
}

const charged1Schema = `{"type": "record", "name": "checkout.Charged", "fields": [
	{"name": "cents", "type": "long"}]}`

// chargedCodec reads both versions.
func chargedCodec() es.Codec[es.Event] {
	return es.Upcast(avro.New[es.Event](avro.Of(Charged{}, chargedSchema)),
		avro.Upcast("checkout.charged", 1, charged1Schema, chargedSchema, func(old charged1) (Charged, error) {
			return Charged{Amount: old.Cents, Currency: "EUR"}, nil
		}))
}

func ExampleNew() {
	ctx, codec := context.Background(), chargedCodec()
	data, err := codec.Encode(ctx, es.StreamID{Category: "checkout", ID: "1"}, Charged{4200, "CHF"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(data.ContentType, len(data.Data), "bytes by", data.Contract.Kind, data.Contract.Fingerprint)
	recorded := es.RecordedEvent{Recorded: es.Recorded{Type: data.Type, Schema: data.Schema}, ContentType: data.ContentType, Data: data.Data}
	event, err := es.One(codec.Decode(ctx, nil, recorded))
	fmt.Println(event, err)
	text, err := es.Describe(ctx, codec, recorded)
	fmt.Println(string(text), err)
	// Output:
	// application/avro 16 bytes by AVRO 4b34d5c1f5800667
	// {4200 CHF} <nil>
	// {"amount":4200,"currency":"CHF"} <nil>
}

func ExampleCanRead() {
	former := `{"type": "record", "name": "shop.OrderPlaced", "fields": [
		{"name": "total", "type": "int"},
		{"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
			{"name": "price", "type": "long"}]}}}]}`
	next := `{"type": "record", "name": "shop.OrderPlaced", "fields": [
		{"name": "total", "type": "string"},
		{"name": "currency", "type": "string"},
		{"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
			{"name": "price", "type": "double"}]}}}]}`
	problems, err := avro.CanRead(next, former)
	if err != nil {
		fmt.Println(err)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// field total became string (it was int): add a new field
	// field currency is new and has no default: give it a default
}
