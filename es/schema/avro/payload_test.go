package avro_test

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/avro"
)

const (
	manySchema = `{"type": "record", "name": "Many", "fields": [
		{"name": "a", "type": {"type": "array", "items": "long"}}, {"name": "e", "type": {"type": "array", "items": {"type": "record", "name": "E", "fields": []}}},
		{"name": "m", "type": {"type": "map", "values": "string"}}, {"name": "s", "type": "string"}]}`
)

type many struct {
	A []int64           `avro:"a"`
	E []struct{}        `avro:"e"`
	M map[string]string `avro:"m"`
	S string            `avro:"s"`
}

func (many) EventType() string { return "many" }

func hostileCodec() es.Codec[es.Event] {
	return avro.New[es.Event](avro.Of(placed{}, placedSchema), avro.Of(grown{}, treeSchema), avro.Of(many{}, manySchema))
}

// header is what payloads by a schema begin with.
func header(schema string) []byte {
	c := must(avro.Contract(schema))
	h := []byte{0xc3, 0x01}
	digits := reversed(c.Fingerprint)
	for i := 0; i < len(digits); i += 2 {
		h = append(h, unhex(digits[i])<<4|unhex(digits[i+1]))
	}
	return h
}

func unhex(c byte) byte { return byte(strings.IndexByte("0123456789abcdef", c)) }

func TestDecode_of_hostile_payloads(t *testing.T) {
	t.Parallel()
	huge := []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01} // the greatest long
	whole := must(hostileCodec().Encode(t.Context(), stream(), full())).Data
	for what, of := range map[string]struct {
		eventType string
		data      []byte
		words     string
	}{
		"nothing":               {"order.placed", nil, "avro.UpcastJSON"},
		"JSON":                  {"order.placed", []byte(`{"number": 1, "customer": "ann"}`), "avro.UpcastJSON"},
		"no magic":              {"order.placed", slices.Concat([]byte{0xc3, 0x02}, whole[2:]), "avro.UpcastJSON"},
		"another fingerprint":   {"order.placed", slices.Concat([]byte{0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8}, whole[10:]), "0807060504030201"},
		"more":                  {"order.placed", append(slices.Clone(whole), 0), "1 bytes follow"},
		"a branch that is none": {"tree.grown", append(header(treeSchema), 4), "union"},
		"a branch below zero":   {"tree.grown", append(header(treeSchema), 1), "union"},
		"nested":                {"tree.grown", append(header(treeSchema), []byte(strings.Repeat("\x02", 100_000)+"\x00")...), "recursion"},
		"huge array":            {"many", slices.Concat(header(manySchema), huge, []byte{2}), "count"},
		"huge array, by size":   {"many", slices.Concat(header(manySchema), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 2, 2}), "array"},
		"huge array of nothing": {"many", slices.Concat(header(manySchema), []byte{0}, huge, []byte{0, 0, 0}), "limit"},
		"huge map":              {"many", slices.Concat(header(manySchema), []byte{0, 0}, huge), "count"},
		"huge string":           {"many", slices.Concat(header(manySchema), []byte{0, 0, 0}, huge), "many"},
		"a length below zero":   {"many", slices.Concat(header(manySchema), []byte{0, 0, 0, 1}), "negative"},
		"a number without end":  {"many", slices.Concat(header(manySchema), []byte(strings.Repeat("\xff", 1000))), "overflows"},
	} {
		got, err := bounded(t, what, of.eventType, of.data)
		if !errors.Is(err, es.ErrUndecodable) || len(got) > 0 || !strings.Contains(err.Error(), of.words) || !strings.Contains(err.Error(), of.eventType+" of order/1 version 3") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range whole {
		if _, err := bounded(t, "truncated", "order.placed", whole[:i]); !errors.Is(err, es.ErrUndecodable) {
			t.Errorf("%d of %d bytes: %v", i, len(whole), err)
		}
	}
}

// bounded decodes and describes a payload, and measures what that takes.
func bounded(t *testing.T, what, eventType string, data []byte) ([]es.Event, error) {
	t.Helper()
	codec := hostileCodec()
	of := recorded(es.EventData{Type: eventType, Data: data})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := codec.Decode(t.Context(), nil, of)
	_, described := es.Describe(t.Context(), codec, of)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 { // others run meanwhile
		t.Errorf("%s took %d bytes", what, took)
	}
	if (described == nil) != (err == nil) || err != nil && !errors.Is(described, es.ErrUndecodable) {
		t.Errorf("%s: described: %v", what, described)
	}
	return got, err
}

// What is no number is one of Avro's doubles.
func TestDecode_takes_what_is_no_number(t *testing.T) {
	t.Parallel()
	event := full()
	event.Lines[0].Price = math.NaN()
	data := must(hostileCodec().Encode(t.Context(), stream(), event))
	got, err := es.One(hostileCodec().Decode(t.Context(), nil, recorded(data)))
	if back, ok := got.(placed); err != nil || !ok || !math.IsNaN(back.Lines[0].Price) {
		t.Error(got, err)
	}
	if text, err := es.Describe(t.Context(), hostileCodec(), recorded(data)); err != nil || !strings.Contains(string(text), `"NaN"`) {
		t.Errorf("%s %v", text, err)
	}
}

// A long has moments that JSON of Go has not.
func TestDescribe_of_moments_far_away(t *testing.T) {
	t.Parallel()
	event := full()
	event.At = time.Date(54321, 1, 2, 3, 4, 5, 0, time.UTC)
	data := must(hostileCodec().Encode(t.Context(), stream(), event))
	if text, err := es.Describe(t.Context(), hostileCodec(), recorded(data)); err != nil || !strings.Contains(string(text), `"54321-01-02T03:04:05Z"`) {
		t.Errorf("%s %v", text, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("order.placed", must(hostileCodec().Encode(f.Context(), stream(), full())).Data)
	f.Add("tree.grown", append(header(treeSchema), 2, 2, 0))
	f.Add("many", append(header(manySchema), 2, 2, 0, 2, 0, 2, 2, 'a', 2, 'b', 0, 2, 'c'))
	former := strings.Replace(placedSchema, `"double"`, `"float"`, 1)
	written := must(avro.New[placed](avro.Of(placed{}, former)).Encode(f.Context(), stream(), full()))
	f.Add("order.placed", written.Data)
	log := &contracts{by: map[string]es.Contract{"AVRO" + written.Contract.Fingerprint: *written.Contract}}
	codec := hostileCodec()
	f.Fuzz(func(t *testing.T, eventType string, data []byte) {
		ctx := es.WithContracts(t.Context(), log)
		of := recorded(es.EventData{Type: eventType, Data: data})
		got, err := codec.Decode(ctx, nil, of)
		if err != nil {
			if !errors.Is(err, es.ErrUndecodable) && !errors.Is(err, es.ErrUnknownType) || len(got) > 0 {
				t.Fatal(err)
			}
			return
		}
		if _, err := es.Describe(ctx, codec, of); err != nil {
			t.Fatal(err)
		}
		again, err := codec.Encode(ctx, stream(), got[0])
		if err != nil {
			return // a decimal of more digits than the schema writes
		}
		if _, err := codec.Decode(ctx, nil, recorded(again)); err != nil {
			t.Fatal(err)
		}
	})
}
