package es_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es"
)

// bought is what was recorded once, where there are placed and paid now.
type bought struct {
	Number int   `json:"number"`
	Cents  int64 `json:"cents"`
}

func splits() []es.Upcaster {
	return append(upcasters(),
		es.SplitJSON("order.bought", 1, func(old bought) ([]es.Event, error) {
			if old.Number == 0 {
				return nil, errors.New("it has no number")
			}
			return []es.Event{placed{old.Number}, paid{old.Cents, "EUR"}}, nil
		}),
		es.SplitJSON("order.seen", 1, func(struct{}) ([]es.Event, error) { return nil, nil }),
		// What comes of it is of a former version and of a former name.
		es.Upcaster{Type: "order.taken", Schema: 1, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) {
			return []es.Payload{{Type: "order.created", Schema: 1, Data: []byte(`{"number":3}`)}, {Type: "order.paid", Schema: 1, Data: p.Data}}, nil
		}},
		// Its fields have become those of another type.
		es.UpcastJSON("order.charged", 4, func(old cents) (paid, error) { return paid{old.Cents, "CHF"}, nil }).As("order.paid", 3),
	)
}

func TestUpcast_may_split_an_event(t *testing.T) {
	t.Parallel()
	codec := es.Widen[es.Event](es.Merge(es.Upcast(paidCodec(), splits()...)))
	before := placed{99}
	for _, c := range []struct {
		stored es.RecordedEvent
		want   []es.Event
	}{
		{stored("order.bought", 1, `{"number":7,"cents":5}`), []es.Event{placed{7}, paid{5, "EUR"}}},
		{stored("order.seen", 1, `{}`), nil},
		{stored("order.taken", 1, `{"total":1.5}`), []es.Event{placed{3}, paid{150, "EUR"}}},
		{stored("order.charged", 4, `{"cents":5}`), []es.Event{paid{5, "CHF"}}},
		{stored("order.paid", 3, `{"amount":1,"currency":"EUR"}`), []es.Event{paid{1, "EUR"}}},
	} {
		got, err := codec.Decode(t.Context(), []es.Event{before}, c.stored)
		if diff := cmp.Diff(append([]es.Event{before}, c.want...), got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.stored.Type, err, diff)
		}
		_, err = es.One(codec.Decode(t.Context(), nil, c.stored))
		if (err == nil) != (len(c.want) == 1) || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("it has become %d events", len(c.want))) {
			t.Errorf("%s: %v", c.stored.Type, err)
		}
	}
	if types := codec.Types(); !slices.Contains(types, "order.bought") || !slices.Contains(types, "order.seen") {
		t.Errorf("%v", types)
	}
}

// An event of which a part cannot be read is not read at all.
func TestUpcast_that_fails_in_a_part_gives_nothing(t *testing.T) {
	t.Parallel()
	lost := es.Upcaster{Type: "order.taken", Schema: 1, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) {
		return []es.Payload{{Type: "order.placed", Schema: 1, Data: []byte(`{}`)}, {Type: "order.lost", Schema: 1, Data: p.Data}}, nil
	}}
	twice := es.Upcaster{Type: "order.a", Schema: 1, Up: func(_ context.Context, p es.Payload) ([]es.Payload, error) { return []es.Payload{p, p}, nil }}
	for _, c := range []struct {
		codec  es.Codec[es.Event]
		stored es.RecordedEvent
		says   string
	}{
		{es.Upcast(paidCodec(), splits()...), stored("order.bought", 1, `{}`), "it has no number"},
		{es.Upcast(paidCodec(), splits()...), stored("order.bought", 1, `[`), "upcast order.bought from schema 1"},
		{es.Upcast(paidCodec(), lost), stored("order.taken", 1, `{}`), "to order.lost schema 1, which is not read"},
		{es.Upcast(paidCodec(), twice), stored("order.a", 1, `{}`), "in a circle"},
	} {
		got, err := c.codec.Decode(t.Context(), []es.Event{placed{1}}, c.stored)
		if !errors.Is(err, es.ErrUndecodable) || errors.Is(err, es.ErrUnknownType) || !strings.Contains(err.Error(), c.says) || len(got) != 1 {
			t.Errorf("%s: %v, %v", c.stored.Type, got, err)
		}
	}
}

// Many parts are no circle.
func TestUpcast_into_many_parts(t *testing.T) {
	t.Parallel()
	many := es.SplitJSON("order.many", 1, func(struct{}) ([]es.Event, error) {
		var list []es.Event
		for n := range 3000 {
			list = append(list, placed{n})
		}
		return list, nil
	})
	got, err := es.Upcast(paidCodec(), many).Decode(t.Context(), nil, stored("order.many", 1, `{}`))
	if err != nil || len(got) != 3000 || got[2999] != (placed{2999}) {
		t.Errorf("%d, %v", len(got), err)
	}
}

func TestRecorded_of_a_part(t *testing.T) {
	t.Parallel()
	r := stored("order.bought", 1, `{}`).Recorded
	if whole := r.PartOf(0, 1); whole.Part != 0 || whole.Parts != 0 {
		t.Errorf("%+v", whole)
	}
	if second := r.PartOf(1, 3); second.Part != 2 || second.Parts != 3 || second.ID != r.ID || second.Version != r.Version {
		t.Errorf("%+v", second)
	}
}

// asked is a codec that notes what it sees.
type asked struct {
	es.Codec[es.Event]
	saw *[]string
}

type tenant struct{}

func (a asked) note(ctx context.Context, what string, of es.StreamID) {
	*a.saw = append(*a.saw, fmt.Sprint(what, " ", ctx.Value(tenant{}), " ", of))
}

func (a asked) Encode(ctx context.Context, stream es.StreamID, event es.Event) (es.EventData, error) {
	a.note(ctx, "encode", stream)
	return a.Codec.Encode(ctx, stream, event)
}

func (a asked) Decode(ctx context.Context, into []es.Event, r es.RecordedEvent) ([]es.Event, error) {
	a.note(ctx, "decode", r.Stream)
	return a.Codec.Decode(ctx, into, r)
}

// A codec sees the context and the stream through all that is around it.
func TestCodec_sees_the_context_and_the_stream(t *testing.T) {
	t.Parallel()
	var saw []string
	beneath := asked{paidCodec(), &saw}
	codec := es.Merge(es.Widen[es.Event](es.WriteAs(es.Upcast[es.Event](beneath, upcasters()...), "order.paid", 2, func([]byte) ([]byte, error) { return []byte(`{"cents":1}`), nil })))
	ctx := context.WithValue(t.Context(), tenant{}, "acme")
	stream := es.StreamID{Category: "order", ID: "o-1"}
	data, err := codec.Encode(ctx, stream, paid{1, "EUR"})
	if err != nil {
		t.Fatal(err)
	}
	r := recorded(data)
	r.Stream = stream
	if _, err := codec.Decode(ctx, nil, r); err != nil {
		t.Fatal(err)
	}
	if want := []string{"encode acme order/o-1", "decode acme order/o-1"}; !slices.Equal(saw, want) {
		t.Errorf("%q", saw)
	}
}

// bound is a codec whose payloads have a contract.
type bound struct{ es.Codec[es.Event] }

func (b bound) Encode(ctx context.Context, stream es.StreamID, event es.Event) (es.EventData, error) {
	data, err := b.Codec.Encode(ctx, stream, event)
	data.Contract = &es.Contract{Kind: "JSON", Fingerprint: "f", Text: "{}"}
	return data, err
}

// What is written as a former version is not written by the contract of the later one.
func TestWriteAs_leaves_out_the_contract_of_the_later_version(t *testing.T) {
	t.Parallel()
	codec := es.WriteAs[es.Event](bound{paidCodec()}, "order.paid", 2, func([]byte) ([]byte, error) { return []byte(`{"cents":1}`), nil })
	if data, err := codec.Encode(t.Context(), es.StreamID{}, paid{1, "EUR"}); err != nil || data.Contract != nil {
		t.Errorf("%+v, %v", data, err)
	}
	if data, err := codec.Encode(t.Context(), es.StreamID{}, placed{1}); err != nil || data.Contract == nil {
		t.Errorf("%+v, %v", data, err)
	}
}

// exact takes no field that it does not have.
type exact struct {
	Number int `json:"number"`
	In     struct {
		A int `json:"a"`
	} `json:"in"`
}

func (exact) EventType() string { return "test.exact" }
func (exact) EventStrict() bool { return true }

type loose struct{ exact }

func (loose) EventType() string { return "test.loose" }
func (loose) EventStrict() bool { return false }

func TestStrict_types_refuse_unknown_fields(t *testing.T) {
	t.Parallel()
	codec := es.JSON[es.Event](exact{}, loose{}, placed{})
	deep := strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) // the slow decoder reads it
	for _, c := range []struct {
		eventType, data, says string
	}{
		{"test.exact", `{"number":1,"in":{"a":2}}`, ""},
		{"test.exact", ` {"Number":1} `, ""},
		{"test.exact", `{"number":1,"more":2}`, `unknown field "more"`},
		{"test.exact", `{"in":{"a":2,"b":3}}`, `unknown field "b"`},
		{"test.exact", `{"more":` + deep + `}`, `unknown field "more"`},
		{"test.exact", `{"number":1} {}`, "after"},
		{"test.exact", `{"number":1}]`, "after"},
		{"test.exact", `{"number":"x"}`, "number"},
		{"test.loose", `{"number":1,"more":2}`, ""},
		{"order.placed", `{"number":1,"more":2}`, ""},
	} {
		_, err := codec.Decode(t.Context(), nil, stored(c.eventType, 1, c.data))
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s %.60s: %v", c.eventType, c.data, err)
		}
	}
}
