package avro_test

import (
	"testing"

	foreign "github.com/twmb/avro"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/avro"
)

func BenchmarkEncode(b *testing.B) {
	event := full()
	b.Run("codec", func(b *testing.B) {
		codec := avro.New[es.Event](avro.Of(placed{}, placedSchema))
		var boxed es.Event = event
		for b.Loop() {
			must(codec.Encode(b.Context(), stream(), boxed))
		}
	})
	b.Run("library", func(b *testing.B) {
		schema := foreign.MustParse(placedSchema)
		for b.Loop() {
			must(schema.AppendSingleObject(nil, &event))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	codec := avro.New[es.Event](avro.Of(placed{}, placedSchema))
	data := must(codec.Encode(b.Context(), stream(), full()))
	log := &contracts{by: map[string]es.Contract{"AVRO" + data.Contract.Fingerprint: *data.Contract}}
	ctx := es.WithContracts(b.Context(), log)
	b.Run("codec", func(b *testing.B) {
		of := recorded(data)
		var into []es.Event
		for b.Loop() {
			into = must(codec.Decode(ctx, into[:0], of))
		}
	})
	b.Run("library", func(b *testing.B) {
		schema := foreign.MustParse(placedSchema)
		for b.Loop() {
			var into placed
			must(schema.DecodeSingleObject(data.Data, &into))
		}
	})
}
