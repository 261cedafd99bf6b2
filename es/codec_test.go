package es_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
)

type (
	renamed  struct{ Cents int64 }
	pointed  struct{ Names []string }
	floating struct{ Rate float64 }
	liar     struct{ name string }
)

func (renamed) EventType() string  { return "test.deposited" }
func (*pointed) EventType() string { return "test.pointed" }
func (floating) EventType() string { return "test.floating" }
func (l liar) EventType() string   { return l.name }

func testCodec() es.Codec[es.Event] {
	return es.JSON[es.Event](renamed{}, &pointed{}, floating{}, liar{"test.liar"})
}

func recorded(d es.EventData) es.RecordedEvent {
	return es.RecordedEvent{
		Recorded:    es.Recorded{ID: d.ID, Type: d.Type, Schema: d.Schema, Stream: es.StreamID{Category: "test", ID: "1"}, Version: 3},
		ContentType: d.ContentType, Data: d.Data,
	}
}

func TestJSON_comes_back(t *testing.T) {
	t.Parallel()
	codec := testCodec()
	rapid.Check(t, func(r *rapid.T) {
		want := rapid.OneOf(
			rapid.Map(rapid.Int64(), func(n int64) es.Event { return renamed{n} }),
			rapid.Map(rapid.SliceOfN(rapid.String(), 1, 5), func(names []string) es.Event { return &pointed{names} }),
			rapid.Map(rapid.Float64(), func(f float64) es.Event { return floating{f} }),
		).Draw(r, "event")
		data, err := codec.Encode(t.Context(), es.StreamID{}, want)
		if err != nil {
			r.Fatal(err)
		}
		if data.Type != want.EventType() || data.Schema != 1 || data.ContentType != "" || data.Metadata.CorrelationID != "" {
			r.Fatalf("encoded as %+v", data)
		}
		got, err := es.One(codec.Decode(t.Context(), nil, recorded(data)))
		if err != nil || !cmp.Equal(want, got) {
			r.Fatalf("%v\n%s", err, cmp.Diff(want, got))
		}
	})
}

func TestJSON_ids(t *testing.T) {
	t.Parallel()
	codec := testCodec()
	one, err := codec.Encode(t.Context(), es.StreamID{}, renamed{1})
	if err != nil {
		t.Fatal(err)
	}
	two, err := codec.Encode(t.Context(), es.StreamID{}, renamed{1})
	if err != nil || one.ID == two.ID || one.ID.Version() != 7 {
		t.Errorf("ids %s and %s, %v: want two different of version 7", one.ID, two.ID, err)
	}
}

func TestJSON_encode_refuses(t *testing.T) {
	t.Parallel()
	codec := testCodec()
	for what, c := range map[string]struct {
		event es.Event
		want  error
	}{
		"a type that it was not given":     {liar{"test.other"}, es.ErrUnknownType},
		"another Go type of the same name": {liar{"test.deposited"}, es.ErrUnknownType},
		"a pointer in place of a value":    {&renamed{1}, es.ErrUnknownType},
		"what JSON cannot hold":            {floating{math.NaN()}, es.ErrInvalid},
	} {
		if _, err := codec.Encode(t.Context(), es.StreamID{}, c.event); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.event.EventType()) {
			t.Errorf("%s: got %v, want %v that names the type", what, err, c.want)
		}
	}
}

func TestJSON_decode(t *testing.T) {
	t.Parallel()
	codec := testCodec()
	for _, c := range []struct {
		event, data string
		want        es.Event
		err         error
	}{
		{"test.deposited", `{"Cents": 5}`, renamed{5}, nil},
		{"test.deposited", `{"cents": 9007199254740993}`, renamed{9007199254740993}, nil}, // 2^53 + 1
		{"test.deposited", `{"Cents": 5, "Later": true}`, renamed{5}, nil},
		{"test.deposited", `{}`, renamed{}, nil},
		{"test.deposited", `null`, renamed{}, nil},
		{"test.pointed", `{"Names": ["a"]}`, &pointed{[]string{"a"}}, nil},
		{"test.pointed", `null`, nil, es.ErrUndecodable},
		{"test.deposited", `{"Cents": "five"}`, nil, es.ErrUndecodable},
		{"test.deposited", `{"Cents": 1e400}`, nil, es.ErrUndecodable},
		{"test.deposited", `{"Cents": 5`, nil, es.ErrUndecodable},
		{"test.deposited", ``, nil, es.ErrUndecodable},
		{"test.other", `{}`, nil, es.ErrUnknownType},
		{"", `{}`, nil, es.ErrUnknownType},
	} {
		got, err := es.One(codec.Decode(t.Context(), nil, recorded(es.EventData{Type: c.event, Data: []byte(c.data)})))
		if !errors.Is(err, c.err) || !cmp.Equal(c.want, got) {
			t.Errorf("%s %s: got %v, %v", c.event, c.data, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.event) || !strings.Contains(err.Error(), "test/1 version 3")) {
			t.Errorf("%q does not name the event", err)
		}
	}
}

func TestJSON_types(t *testing.T) {
	t.Parallel()
	want := []string{"test.deposited", "test.floating", "test.liar", "test.pointed"}
	if got := testCodec().Types(); !cmp.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestJSON_panics_on_mistakes(t *testing.T) {
	t.Parallel()
	for what, examples := range map[string][]es.Event{
		"two of one name": {renamed{}, liar{"test.deposited"}},
		"one twice":       {renamed{}, renamed{}},
		"no name":         {liar{""}},
		"an illegal name": {liar{"a b"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: JSON does not panic", what)
				}
			}()
			es.JSON(examples...)
		}()
	}
}
