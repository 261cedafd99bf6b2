package registry_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
)

// A deployment registers what the program writes. What former versions cannot be read by is refused
// before the registry is asked.
func Example() {
	server := srfake.New() // in place of a registry
	defer server.Close()
	ctx := context.Background()
	client, err := registry.New(registry.Config{URLs: []string{server.URL()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for _, total := range []string{"int", "string"} {
		contract := es.Contract{Kind: "AVRO", Fingerprint: "of " + total, Text: `{"type": "record", "name": "OrderPlaced", "fields": [{"name": "total", "type": "` + total + `"}]}`}
		id, err := client.Register(ctx, registry.ByTopic("orders"), contract, registry.Backward)
		if refused, ok := errors.AsType[*registry.RefusedError](err); ok {
			fmt.Println(refused.Findings[0])
			continue
		}
		fmt.Println(id, err)
	}
	// Output:
	// 1 <nil>
	// field total became string (it was int): what was written by version 1 cannot be read: add a new field
}

// A test, or CI, holds the contracts of the program to what was committed, or is registered.
func ExampleCheck() {
	contracts := []registry.Declared{{
		Type: "order.placed", Schema: 3,
		Contract: es.Contract{Kind: "AVRO", Fingerprint: "1", Text: `{"type": "record", "name": "OrderPlaced", "fields": [{"name": "total", "type": "string"}]}`},
	}}
	report, err := registry.Check(context.Background(), contracts, registry.Files("testdata/contracts"), registry.Full)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := report.WriteText(os.Stdout); err != nil {
		fmt.Println(err)
	}
	fmt.Println(report.OK)
	// Output:
	// breaks  order.placed version 3: field total became string (it was int): what was written by version 3 cannot be read: add a new field
	// breaks  order.placed version 3: field total became string (it was int): consumers with version 3 cannot read it: add a new field
	// false
}

// What others read goes to their topics in the wire format that they know; the log keeps what the
// codec beneath writes.
func ExampleFramed() {
	server := srfake.New()
	defer server.Close()
	ctx := context.Background()
	client, err := registry.New(registry.Config{URLs: []string{server.URL()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	inner := newCodec("AVRO", avroText) // a codec of es/schema
	if _, err := client.Register(ctx, registry.ByTopic("orders"), inner.Contract, registry.Backward); err != nil {
		fmt.Println(err)
		return
	}
	codec := registry.Framed[placed](inner, client)
	data, err := codec.Encode(ctx, es.StreamID{Category: "order", ID: "1"}, placed{ID: "o-1", Total: 42})
	fmt.Printf("%s % x %v\n", data.ContentType, data.Data, err)
	// Output:
	// application/vnd.confluent.avro 00 00 00 00 01 06 6f 2d 31 54 <nil>
}
