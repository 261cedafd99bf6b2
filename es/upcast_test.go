package es_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es"
)

// paid is an event in its third shape: {"total": 1.5} became {"cents": 150}, which became
// {"amount": 150, "currency": "EUR"}.
type paid struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

func (paid) EventType() string { return "order.paid" }
func (paid) EventSchema() int  { return 3 }

// placed has changed its name and nothing else.
type placed struct {
	Number int `json:"number"`
}

func (placed) EventType() string { return "order.placed" }

type cents struct {
	Cents int64 `json:"cents"`
}

func paidCodec() es.Codec[es.Event] { return es.JSON[es.Event](paid{}, placed{}) }

func upcasters() []es.Upcaster {
	return []es.Upcaster{
		es.UpcastBytes("order.paid", 1, func(data []byte) ([]byte, error) {
			var old struct{ Total float64 }
			if err := json.Unmarshal(data, &old); err != nil {
				return nil, err
			}
			return fmt.Appendf(nil, `{"cents":%d}`, int64(old.Total*100)), nil
		}),
		es.UpcastJSON("order.paid", 2, func(old cents) (paid, error) {
			if old.Cents < 0 {
				return paid{}, errors.New("below zero")
			}
			return paid{old.Cents, "EUR"}, nil
		}),
		es.Renamed("order.settled", 1, "order.paid", 2),
		es.Renamed("order.created", 1, "order.placed", 1),
	}
}

// stored is an event as the log has it.
func stored(eventType string, schema int, data string) es.RecordedEvent {
	return recorded(es.EventData{ID: es.NewID(), Type: eventType, Schema: schema, Data: []byte(data)})
}

func TestUpcast_reads_former_versions(t *testing.T) {
	t.Parallel()
	steps := upcasters()
	slices.Reverse(steps) // their order does not matter
	codec := es.Upcast(paidCodec(), steps...)
	for _, c := range []struct {
		stored es.RecordedEvent
		want   es.Event
	}{
		{stored("order.paid", 1, `{"total":1.5}`), paid{150, "EUR"}},
		{stored("order.paid", 0, `{"total":1.5}`), paid{150, "EUR"}}, // none is the first
		{stored("order.paid", 2, `{"cents":7}`), paid{7, "EUR"}},
		{stored("order.paid", 3, `{"amount":8,"currency":"CHF"}`), paid{8, "CHF"}},
		{stored("order.settled", 1, `{"cents":9}`), paid{9, "EUR"}},
		{stored("order.created", 1, `{"number":4}`), placed{4}},
		{stored("order.placed", 1, `{"number":5}`), placed{5}},
	} {
		before := string(c.stored.Data)
		got, err := es.One(codec.Decode(t.Context(), nil, c.stored))
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s %d: %v %s", c.stored.Type, c.stored.Schema, err, diff)
		}
		if string(c.stored.Data) != before {
			t.Errorf("%s %d: the payload in the log was changed", c.stored.Type, c.stored.Schema)
		}
	}
	if want := []string{"order.created", "order.paid", "order.placed", "order.settled"}; !slices.Equal(codec.Types(), want) {
		t.Errorf("types %v", codec.Types())
	}
	data, err := codec.Encode(t.Context(), es.StreamID{}, paid{1, "EUR"})
	if err != nil || data.Schema != 3 || string(data.Data) != `{"amount":1,"currency":"EUR"}` {
		t.Errorf("%+v, %v", data, err)
	}
}

func TestDecode_refuses_what_is_of_another_schema(t *testing.T) {
	t.Parallel()
	up := es.Upcast(paidCodec(), upcasters()...)
	loop := es.Upcast(paidCodec(), es.Renamed("order.a", 1, "order.b", 1), es.Renamed("order.b", 1, "order.a", 1))
	for what, c := range map[string]struct {
		codec  es.Codec[es.Event]
		stored es.RecordedEvent
		want   error
		says   []string
	}{
		"newer":                            {paidCodec(), stored("order.paid", 4, `{}`), es.ErrNewerSchema, []string{"order.paid of test/1 version 3", "schema 4", "reads 3", "deploy"}},
		"newer, of one without a number":   {paidCodec(), stored("order.placed", 2, `{}`), es.ErrNewerSchema, []string{"reads 1"}},
		"newer, upcast":                    {up, stored("order.paid", 99, `{}`), es.ErrNewerSchema, []string{"schema 99"}},
		"former":                           {paidCodec(), stored("order.paid", 2, `{"cents":1}`), es.ErrUndecodable, []string{"schema 2", "reads 3", "es.Upcast"}},
		"former, without a number":         {paidCodec(), stored("order.paid", 0, `{}`), es.ErrUndecodable, []string{"schema 1", "es.Upcast"}},
		"a step is missing":                {es.Upcast(paidCodec(), upcasters()[0]), stored("order.paid", 1, `{"total":1}`), es.ErrUndecodable, []string{"schema 2"}},
		"an upcaster fails":                {up, stored("order.paid", 2, `{"cents":-1}`), es.ErrUndecodable, []string{"upcast order.paid from schema 2", "below zero"}},
		"what comes of it is nothing":      {up, stored("order.paid", 1, `[`), es.ErrUndecodable, []string{"upcast order.paid from schema 1"}},
		"in a circle":                      {loop, stored("order.a", 1, `{}`), es.ErrUndecodable, []string{"in a circle"}},
		"a former name, newer":             {up, stored("order.settled", 2, `{}`), es.ErrNewerSchema, []string{"order.settled of test/1", "schema 2", "reads 1"}},
		"a former name, a step is missing": {es.Upcast(paidCodec(), es.Renamed("order.settled", 2, "order.paid", 3)), stored("order.settled", 1, `{}`), es.ErrUndecodable, []string{"order.settled", "schema 1", "complete the upcasters"}},
		"upcast to no type":                {es.Upcast(paidCodec(), es.Renamed("order.settled", 1, "order.lost", 1)), stored("order.settled", 1, `{}`), es.ErrUndecodable, []string{"order.settled", "order.lost schema 1", "unknown event type"}},
		"upcast beyond what is read":       {es.Upcast(paidCodec(), es.UpcastBytes("order.placed", 1, func(data []byte) ([]byte, error) { return data, nil })), stored("order.placed", 1, `{}`), es.ErrUndecodable, []string{"order.placed", "schema 2", "reads 1", "raise EventSchema"}},
		"of no type":                       {up, stored("order.lost", 1, `{}`), es.ErrUnknownType, nil},
	} {
		event, err := es.One(c.codec.Decode(t.Context(), nil, c.stored))
		if !errors.Is(err, c.want) || event != nil {
			t.Errorf("%s: %v, %v", what, event, err)
			continue
		}
		for _, other := range []error{es.ErrNewerSchema, es.ErrUndecodable, es.ErrUnknownType} {
			if errors.Is(err, other) != errors.Is(c.want, other) {
				t.Errorf("%s: is it %v? %v", what, other, err)
			}
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %v", what, part, err)
			}
		}
	}
}

// A deployment that reads a new version and writes the former one comes before the one that
// writes it: processes of the former program read all that there is.
func TestWriteAs_lets_a_deployment_read_before_it_writes(t *testing.T) {
	t.Parallel()
	down := func(data []byte) ([]byte, error) {
		var p paid
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, err
		}
		if p.Currency != "EUR" {
			return nil, errors.New("the former version knows euros alone")
		}
		return fmt.Appendf(nil, `{"cents":%d}`, p.Amount), nil
	}
	between := es.WriteAs(es.Upcast(paidCodec(), upcasters()...), "order.paid", 2, down)
	data, err := between.Encode(t.Context(), es.StreamID{}, paid{5, "EUR"})
	if err != nil || data.Schema != 2 || string(data.Data) != `{"cents":5}` {
		t.Fatalf("%+v, %v", data, err)
	}
	if back, err := es.One(between.Decode(t.Context(), nil, recorded(data))); err != nil || back != (paid{5, "EUR"}) {
		t.Errorf("%v, %v", back, err)
	}
	if _, err := between.Encode(t.Context(), es.StreamID{}, paid{5, "CHF"}); !errors.Is(err, es.ErrInvalid) || !strings.Contains(err.Error(), "euros") {
		t.Errorf("%v", err)
	}
	if data, err := between.Encode(t.Context(), es.StreamID{}, placed{1}); err != nil || data.Schema != 1 || string(data.Data) != `{"number":1}` {
		t.Errorf("another type: %+v, %v", data, err)
	}
	if back, err := es.One(between.Decode(t.Context(), nil, stored("order.paid", 3, `{"amount":8,"currency":"CHF"}`))); err != nil || back != (paid{8, "CHF"}) {
		t.Errorf("of the next deployment: %v, %v", back, err)
	}
	late := es.WriteAs(paidCodec(), "order.paid", 3, down)
	if _, err := late.Encode(t.Context(), es.StreamID{}, paid{5, "EUR"}); !errors.Is(err, es.ErrInvalid) {
		t.Errorf("a version that is not former: %v", err)
	}
}

type versionless struct{}

func (versionless) EventType() string { return "test.versionless" }
func (versionless) EventSchema() int  { return 0 }

func TestCodecs_that_are_mistakes_panic(t *testing.T) {
	t.Parallel()
	same := func(_ context.Context, p es.Payload) ([]es.Payload, error) { return []es.Payload{p}, nil }
	down := func(data []byte) ([]byte, error) { return data, nil }
	for what, make := range map[string]func(){
		"a schema of zero":                    func() { es.JSON[es.Event](versionless{}) },
		"two ways up":                         func() { es.Upcast(paidCodec(), upcasters()[0], upcasters()[0]) },
		"no function":                         func() { es.Upcast(paidCodec(), es.Upcaster{Type: "order.paid", Schema: 1}) },
		"no type":                             func() { es.Upcast(paidCodec(), es.Upcaster{Schema: 1, Up: same}) },
		"written as no type":                  func() { es.WriteAs(paidCodec(), "order.lost", 1, down) },
		"written as a type that is only read": func() { es.WriteAs(es.Upcast(paidCodec(), upcasters()...), "order.settled", 1, down) },
		"written as zero":                     func() { es.WriteAs(paidCodec(), "order.paid", 0, down) },
		"written by nothing":                  func() { es.WriteAs(paidCodec(), "order.paid", 1, nil) },
		"one type twice":                      func() { es.Merge(paidCodec(), es.JSON[es.Event](paid{})) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			make()
		}()
	}
}

// BenchmarkDecode_upcast shows what a current event pays for the upcasters of its type.
func BenchmarkDecode_upcast(b *testing.B) {
	for name, codec := range map[string]es.Codec[es.Event]{"alone": paidCodec(), "with upcasters": es.Upcast(paidCodec(), upcasters()...)} {
		b.Run(name, func(b *testing.B) {
			e := stored("order.paid", 3, `{"amount":8,"currency":"CHF","note":"`+strings.Repeat("x", 100)+`"}`)
			var decoded []es.Event
			var err error
			for b.Loop() {
				if decoded, err = codec.Decode(b.Context(), decoded[:0], e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleUpcast() {
	ctx := context.Background()
	// Once: type Paid struct{ Cents int64 }, without a schema version.
	codec := es.Upcast(es.JSON[es.Event](paid{}), // which says EventSchema 3
		es.UpcastJSON("order.paid", 2, func(old cents) (paid, error) { return paid{old.Cents, "EUR"}, nil }))
	event, err := es.One(codec.Decode(ctx, nil, stored("order.paid", 2, `{"cents":150}`)))
	fmt.Println(event, err)
	_, err = es.One(codec.Decode(ctx, nil, stored("order.paid", 4, `{"amount":{"EUR":150}}`)))
	fmt.Println(errors.Is(err, es.ErrNewerSchema))
	// Output:
	// {150 EUR} <nil>
	// true
}
