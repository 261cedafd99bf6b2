package jsonschema_test

import (
	"context"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/jsonschema"
)

func BenchmarkCodec(b *testing.B) {
	of := jsonschema.Of(placed{}, placedSchema)
	event := order1()
	event.Lines, event.Tags = []line{{1}, {2}, {3}}, []string{"a", "b"}
	for _, c := range []struct {
		name  string
		codec es.Codec[shopEvent]
	}{
		{"JSON", es.JSON[shopEvent](placed{})}, {"schema", jsonschema.New[shopEvent](of)}, {"checked", jsonschema.New[shopEvent](of.Checked())},
	} {
		data, err := c.codec.Encode(context.Background(), es.StreamID{}, event)
		if err != nil {
			b.Fatal(err)
		}
		r := recordedAs(data.Type, 1, string(data.Data))
		b.Run("Encode/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.codec.Encode(context.Background(), es.StreamID{}, event); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Decode/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			var into []shopEvent
			for b.Loop() {
				if into, err = c.codec.Decode(context.Background(), into[:0], r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
