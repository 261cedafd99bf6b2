package protobuf_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/protobuf"
	"github.com/asof-dev/asof/es/schema/protobuf/internal/shoppb"
)

func full() *shoppb.Placed {
	return &shoppb.Placed{
		Number: 7, Customer: "ann", State: shoppb.State_STATE_PAID,
		Lines: []*shoppb.Placed_Line{{Sku: "a", Price: 1.5, Parts: []int32{1, 2}}, {Sku: "b"}},
		Tags:  map[string]string{"k": "v", "a": "b", "c": "d"}, Note: new(""), Raw: []byte{0, 255},
		At: &timestamppb.Timestamp{Seconds: 1767323045, Nanos: 6000}, PaidBy: &shoppb.Placed_Cash{Cash: &shoppb.Cash{Cents: 5}},
	}
}

func stream() es.StreamID { return es.StreamID{Category: "order", ID: "1"} }

func shopCodec() es.Codec[es.Event] {
	return protobuf.New[es.Event](&shoppb.Placed{}, &shoppb.Paid2{}, &shoppb.Tree{})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// recorded is what the log has of an event.
func recorded(e es.EventData) es.RecordedEvent {
	return es.RecordedEvent{
		Recorded:    es.Recorded{ID: e.ID, Type: e.Type, Schema: e.Schema, Stream: stream(), Version: 3, Position: 9},
		ContentType: e.ContentType, Data: e.Data,
	}
}

func payload(eventType string, data []byte) es.RecordedEvent {
	return recorded(es.EventData{Type: eventType, ContentType: protobuf.ContentType, Data: data})
}

func TestCodec_reads_what_it_writes(t *testing.T) {
	t.Parallel()
	codec := shopCodec()
	if got := codec.Types(); !cmp.Equal(got, []string{"order.paid", "order.placed", "tree.grown"}) {
		t.Error(got)
	}
	for _, event := range []es.Event{full(), &shoppb.Placed{}, &shoppb.Paid2{Amount: 5}} {
		data := must(codec.Encode(t.Context(), stream(), event))
		if data.ContentType != "application/protobuf" || data.Schema != es.SchemaOf(event) || data.Contract.Kind != "PROTOBUF" || data.Data == nil {
			t.Errorf("%+v", data)
		}
		got, err := es.One(codec.Decode(t.Context(), nil, recorded(data)))
		if diff := cmp.Diff(event, got, protocmp.Transform()); err != nil || diff != "" {
			t.Error(err, diff)
		}
		for range 20 {
			if again := must(codec.Encode(t.Context(), stream(), event)); string(again.Data) != string(data.Data) {
				t.Error("written again it is another")
			}
		}
	}
}

// A payload is read by the contract that the log keeps, as another program would.
func TestCodec_writes_what_its_contract_says(t *testing.T) {
	t.Parallel()
	data := must(shopCodec().Encode(t.Context(), stream(), full()))
	other := message(t, data.Contract.Text)
	if err := proto.Unmarshal(data.Data, other); err != nil {
		t.Fatal(err)
	}
	again := must(proto.MarshalOptions{Deterministic: true}.Marshal(other))
	if string(other.Descriptor().FullName()) != "shop.Placed" || len(other.GetUnknown()) > 0 || len(again) != len(data.Data) {
		t.Error(other)
	}
}

func TestCodec_keeps_nothing_of_the_payload(t *testing.T) {
	t.Parallel()
	data := must(shopCodec().Encode(t.Context(), stream(), full()))
	got := must(es.One(shopCodec().Decode(t.Context(), nil, recorded(data))))
	for i := range data.Data {
		data.Data[i] = 'x'
	}
	if diff := cmp.Diff(full(), got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// What a newer program has written is not lost by one that reads and writes it.
func TestCodec_keeps_fields_that_it_does_not_know(t *testing.T) {
	t.Parallel()
	data := must(shopCodec().Encode(t.Context(), stream(), full()))
	less := protobuf.New[es.Event](&shoppb.PlacedLess{})
	got := must(es.One(less.Decode(t.Context(), nil, recorded(data))))
	again := must(less.Encode(t.Context(), stream(), got))
	if back := must(es.One(shopCodec().Decode(t.Context(), nil, recorded(again)))); !cmp.Equal(full(), back, protocmp.Transform()) {
		t.Error(back)
	}
}

func TestCodec_of_a_strict_type_refuses_fields_that_it_does_not_know(t *testing.T) {
	t.Parallel()
	codec := protobuf.New[es.Event](&shoppb.PlacedStrict{})
	known := must(proto.Marshal(full()))
	if _, err := codec.Decode(t.Context(), nil, payload("order.placed", known)); err != nil {
		t.Error(err)
	}
	extra := protowire.AppendVarint(protowire.AppendTag(nil, 100, protowire.VarintType), 1)
	for what, data := range map[string][]byte{
		"at the top": append(known, extra...),
		"in a list":  protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), extra),
		"in a map":   protowire.AppendBytes(protowire.AppendTag(nil, 11, protowire.BytesType), protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), extra)),
		"in a field": protowire.AppendBytes(protowire.AppendTag(nil, 10, protowire.BytesType), extra),
	} {
		if _, err := codec.Decode(t.Context(), nil, payload("order.placed", data)); !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), "strict") {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := shopCodec().Decode(t.Context(), nil, payload("order.placed", data)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

type plain struct{}

func (plain) EventType() string { return "order.plain" }

func TestCodec_refuses_mistakes_of_the_program(t *testing.T) {
	t.Parallel()
	for words, examples := range map[string][]es.Event{
		"each needs a name of its own": {&shoppb.Paid{}, &shoppb.Paid2{}},
		"is no message":                {plain{}},
		"stands within another":        {&shoppb.Outer_Inner{}},
	} {
		func() {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, words) || strings.Count(said, "protobuf: ") != 1 {
					t.Errorf("%q: %s", words, said)
				}
			}()
			protobuf.New(examples...)
		}()
	}
}

func TestCodec_refuses_what_it_would_not_read_back(t *testing.T) {
	t.Parallel()
	for what, of := range map[string]struct {
		event es.Event
		err   error
	}{
		"another type": {&shoppb.Paid{}, es.ErrUnknownType},
		"nil":          {(*shoppb.Placed)(nil), es.ErrInvalid},
		"no UTF-8":     {&shoppb.Placed{Customer: "\xff"}, es.ErrInvalid},
		"too deep":     {deep(1002), es.ErrInvalid},
	} {
		if _, err := shopCodec().Encode(t.Context(), stream(), of.event); !errors.Is(err, of.err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// deep is a tree of so many messages within each other.
func deep(n int) *shoppb.Tree {
	tree := &shoppb.Tree{}
	for range n - 1 {
		tree = &shoppb.Tree{Next: tree}
	}
	return tree
}

func TestCodec_tells_versions_apart(t *testing.T) {
	t.Parallel()
	data := must(shopCodec().Encode(t.Context(), stream(), &shoppb.Paid2{Amount: 5}))
	for schema, want := range map[int]error{0: es.ErrUndecodable, 1: es.ErrUndecodable, 2: nil, 3: es.ErrNewerSchema} {
		of := recorded(data)
		of.Schema = schema
		_, err := shopCodec().Decode(t.Context(), nil, of)
		var typed *es.SchemaError
		if !errors.Is(err, want) || (want != nil) != errors.As(err, &typed) {
			t.Errorf("schema %d: %v", schema, err)
		}
	}
	if _, err := shopCodec().Decode(t.Context(), nil, payload("order.lost", nil)); !errors.Is(err, es.ErrUnknownType) {
		t.Error(err)
	}
}

func TestUpcast_leads_from_message_to_message(t *testing.T) {
	t.Parallel()
	codec := es.Upcast(shopCodec(),
		protobuf.Upcast("order.paid", 1, func(old *shoppb.Paid) (*shoppb.Paid2, error) {
			if old.GetCents() < 0 {
				return nil, errors.New("less than nothing")
			}
			return &shoppb.Paid2{Amount: old.GetCents(), Currency: "EUR"}, nil
		}),
		protobuf.UpcastJSON("tree.planted", 1, func(struct{}) (*shoppb.Tree, error) { return &shoppb.Tree{}, nil }).As("tree.grown", 1),
		protobuf.Split("order.taken", 1, func(old *shoppb.Paid) ([]protobuf.Event, error) {
			return []protobuf.Event{&shoppb.Tree{}, &shoppb.Paid2{Amount: old.GetCents()}}, nil
		}))
	cents := func(n int64) []byte { return must(proto.Marshal(&shoppb.Paid{Cents: n})) }
	got, err := codec.Decode(t.Context(), nil, payload("order.paid", cents(5)))
	if diff := cmp.Diff([]es.Event{&shoppb.Paid2{Amount: 5, Currency: "EUR"}}, got, protocmp.Transform()); err != nil || diff != "" {
		t.Error(err, diff)
	}
	got, err = codec.Decode(t.Context(), nil, payload("order.taken", cents(5)))
	if diff := cmp.Diff([]es.Event{&shoppb.Tree{}, &shoppb.Paid2{Amount: 5}}, got, protocmp.Transform()); err != nil || diff != "" {
		t.Error(err, diff)
	}
	planted := payload("tree.planted", []byte(`{}`))
	planted.ContentType = es.JSONContentType
	if got, err := codec.Decode(t.Context(), nil, planted); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	for words, data := range map[string][]byte{"less than nothing": cents(-1), "no shop.Paid": {1}} {
		if _, err := codec.Decode(t.Context(), nil, payload("order.paid", data)); !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), words) {
			t.Error(err)
		}
	}
}

func TestDescribe_is_by_the_names_of_the_text(t *testing.T) {
	t.Parallel()
	data := must(shopCodec().Encode(t.Context(), stream(), &shoppb.Placed{Number: 7, CustomerId: 3, PaidBy: &shoppb.Placed_Card{Card: "c"}, At: &timestamppb.Timestamp{Seconds: 1}}))
	got, err := es.Describe(t.Context(), shopCodec(), recorded(data))
	if text := strings.ReplaceAll(string(got), " ", ""); err != nil || text != `{"number":"7","at":"1970-01-01T00:00:01Z","card":"c","customer_id":"3"}` {
		t.Error(text, err)
	}
	far := must(proto.Marshal(&shoppb.Placed{At: &timestamppb.Timestamp{Seconds: 1 << 60}}))
	if _, err := es.Describe(t.Context(), shopCodec(), payload("order.placed", far)); !errors.Is(err, es.ErrUndecodable) {
		t.Error(err)
	}
}

// nested are trees within each other.
func nested(depth int) []byte {
	sizes, size := make([]int, 0, depth), 0
	for range depth {
		sizes = append(sizes, size)
		size += 1 + protowire.SizeVarint(uint64(size)) //nolint:gosec // it is no number below zero
	}
	var data []byte
	for _, size := range slices.Backward(sizes) {
		data = protowire.AppendVarint(append(data, 1<<3|2), uint64(size)) //nolint:gosec // as above
	}
	return data
}

func TestDecode_of_hostile_payloads(t *testing.T) {
	t.Parallel()
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	whole := must(proto.Marshal(full()))
	for what, of := range map[string]es.RecordedEvent{
		"too deep":        payload("tree.grown", nested(1001)),
		"nested":          payload("tree.grown", nested(100_000)),
		"huge bytes":      payload("order.placed", append([]byte{7<<3 | 2}, huge...)),
		"huge list":       payload("order.placed", append([]byte{4<<3 | 2}, huge...)),
		"no UTF-8":        payload("order.placed", []byte{2<<3 | 2, 1, 0xff}),
		"field 0":         payload("order.placed", []byte{0}),
		"an open group":   payload("order.placed", []byte{0x7b}),
		"groups":          payload("order.placed", []byte(strings.Repeat("\x7b", 100_000))),
		"a varint of 11":  payload("order.placed", []byte("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
		"JSON":            recorded(es.EventData{Type: "order.placed", Data: []byte(`{}`)}),
		"JSON by name":    recorded(es.EventData{Type: "order.placed", ContentType: es.JSONContentType}),
		"empty JSON":      recorded(es.EventData{Type: "order.placed"}),
		"Avro":            recorded(es.EventData{Type: "order.placed", ContentType: "application/avro", Data: nil}),
		"truncated bytes": payload("order.placed", whole[:len(whole)-1]),
	} {
		got, err := bounded(t, what, of)
		if !errors.Is(err, es.ErrUndecodable) || len(got) > 0 || !strings.Contains(err.Error(), of.Type+" of order/1 version 3") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range whole { // what ends after a field is whole, too
		if _, err := bounded(t, "truncated", payload("order.placed", whole[:i])); err != nil && !errors.Is(err, es.ErrUndecodable) {
			t.Errorf("%d of %d bytes: %v", i, len(whole), err)
		}
	}
	if got, err := bounded(t, "as deep as may be", payload("tree.grown", nested(900))); err != nil || len(got) != 1 {
		t.Error(err)
	}
}

// bounded decodes and describes a payload, and measures what that takes.
func bounded(t *testing.T, what string, of es.RecordedEvent) ([]es.Event, error) {
	t.Helper()
	codec := shopCodec()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := codec.Decode(t.Context(), nil, of)
	_, described := es.Describe(t.Context(), codec, of)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 256<<20 { // others run meanwhile
		t.Errorf("%s took %d bytes", what, took)
	}
	if described != nil && !errors.Is(described, es.ErrUndecodable) {
		t.Errorf("%s: described: %v", what, described)
	}
	return got, err
}

func FuzzDecode(f *testing.F) {
	f.Add("order.placed", must(proto.Marshal(full())))
	f.Add("tree.grown", nested(5))
	f.Add("order.paid", must(proto.Marshal(&shoppb.Paid2{Amount: 1, Currency: "EUR"})))
	codec := shopCodec()
	f.Fuzz(func(t *testing.T, eventType string, data []byte) {
		ctx, of := context.Background(), payload(eventType, data)
		of.Schema = 1
		if eventType == "order.paid" {
			of.Schema = 2
		}
		got, err := codec.Decode(ctx, nil, of)
		if err != nil {
			if !errors.Is(err, es.ErrUndecodable) && !errors.Is(err, es.ErrUnknownType) || len(got) > 0 {
				t.Fatal(err)
			}
			return
		}
		if _, err := es.Describe(ctx, codec, of); err != nil && !errors.Is(err, es.ErrUndecodable) { // of moments that JSON has not
			t.Fatal(err)
		}
		again, err := codec.Encode(ctx, stream(), got[0])
		if err != nil {
			t.Fatal(err)
		}
		back, err := es.One(codec.Decode(ctx, nil, recorded(again)))
		if diff := cmp.Diff(got[0], back, protocmp.Transform()); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	event := full()
	b.Run("codec", func(b *testing.B) {
		codec := shopCodec()
		for b.Loop() {
			must(codec.Encode(b.Context(), stream(), es.Event(event)))
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			must(proto.MarshalOptions{Deterministic: true}.Marshal(event))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := must(shopCodec().Encode(b.Context(), stream(), full()))
	b.Run("codec", func(b *testing.B) {
		codec, of := shopCodec(), recorded(data)
		var into []es.Event
		for b.Loop() {
			into = must(codec.Decode(b.Context(), into[:0], of))
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			var into shoppb.Placed
			if err := proto.Unmarshal(data.Data, &into); err != nil {
				b.Fatal(err)
			}
		}
	})
}
