package es_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/asof-dev/asof/es"
)

type decodedLine struct {
	SKU   string  `json:"sku"`
	Count int     `json:"count"`
	Price float64 `json:"price,omitempty"`
}

type decodedBase struct {
	A string
	X int `json:"x"`
}

// wide has fields of many kinds, with names that differ in case alone, tagged and not.
type wide struct {
	A string            `json:"a"`
	B int64             `json:"b"`
	C *int              `json:"c"`
	D []decodedLine     `json:"d"`
	E map[string]string `json:"e"`
	F time.Time         `json:"f"`
	G *decodedLine      `json:"g"`
	H uint8             `json:"h"`
	I bool              `json:"i"`
	J float64           `json:"j"`
	K []byte            `json:"k"`
	L [2]int            `json:"l"`
	M decodedLine
	N time.Duration
	O *time.Time
	P []string
	Q map[string]decodedLine
	R float32
	S []int64
	T map[string][]int
}

func (wide) EventType() string { return "wide" }

// odd has what decoders differ in most.
type odd struct {
	decodedBase

	A any               `json:"a"`
	B json.RawMessage   `json:"b"`
	C json.Number       `json:"c"`
	D map[int]string    `json:"d"`
	E uuid.UUID         `json:"e"`
	F *time.Time        `json:"f"`
	G []any             `json:"g"`
	H int               `json:"h,string"`
	I bool              `json:"i,string"`
	J map[string]any    `json:"j"`
	K [3]byte           `json:"k"`
	L []*decodedLine    `json:"l"`
	M map[uuid.UUID]int `json:"m"`
	N struct{ A, B int }
	O *string           `json:"o,string"`
	P json.Marshaler    `json:"p"`
	Q map[string]string `json:"-"`
	R []byte            `json:",omitempty"`
	S float64           `json:"s,string"`
	T rune
}

func (odd) EventType() string { return "odd" }

// twice has a pointer to a pointer.
type twice struct {
	F **time.Time `json:"f"`
	G *struct{ C **int }
}

func (twice) EventType() string { return "twice" }

type byPointer struct{ A, B string }

func (*byPointer) EventType() string { return "pointer" }

// same holds what the codec makes of a payload, whose memory another has then, against
// encoding/json.
func same(t *testing.T, codec es.Codec[es.Event], of es.Event, data []byte) {
	t.Helper()
	want := reflect.New(reflect.TypeOf(of))
	wantErr := plainly(of, data, want.Interface())
	payload := slices.Clone(data)
	got, err := es.One(codec.Decode(t.Context(), nil, es.RecordedEvent{Recorded: es.Recorded{Type: of.EventType()}, Data: payload}))
	for i := range payload {
		payload[i] = '!'
	}
	switch null := want.Elem().Kind() == reflect.Pointer && want.Elem().IsNil(); {
	case (wantErr != nil || null) != (err != nil):
		t.Fatalf("%q into %T: %v, and encoding/json: %v", data, of, err, wantErr)
	case err != nil && (!errors.Is(err, es.ErrUndecodable) || wantErr != nil && !strings.HasSuffix(err.Error(), wantErr.Error())):
		t.Fatalf("%q into %T: %v, and encoding/json: %v", data, of, err, wantErr)
	case err == nil && !reflect.DeepEqual(got, want.Elem().Interface()):
		t.Fatalf("%q into %T:\n%+v, and encoding/json\n%+v", data, of, got, want.Elem().Interface())
	}
}

// plainly decodes by encoding/json.
func plainly(of es.Event, data []byte, into any) error {
	if _, strict := of.(es.Strict); !strict {
		return json.Unmarshal(data, into)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the payload")
	}
	return nil
}

// Types that take no other fields.
type (
	strictWide struct{ wide }
	strictOdd  struct{ odd }
)

func (strictWide) EventType() string { return "wide.strict" }
func (strictWide) EventStrict() bool { return true }
func (strictOdd) EventType() string  { return "odd.strict" }
func (strictOdd) EventStrict() bool  { return true }

func decodedTypes() (es.Codec[es.Event], []es.Event) {
	types := []es.Event{wide{}, odd{}, twice{}, &byPointer{}, strictWide{}, strictOdd{}}
	return es.JSON(types...), types
}

// FuzzDecode_is_that_of_encoding_json runs its seeds with the other tests.
func FuzzDecode_is_that_of_encoding_json(f *testing.F) {
	codec, types := decodedTypes()
	for _, seed := range []string{
		`{}`, ``, `null`, ` {"a" : "b" } `, `{"a":"b"}x`, `{"a":"b",}`, `[]`, `"a"`, `{"a":null,"b":null,"c":null,"d":null}`,
		`{"a":"1","a":"2"}`, `{"A":"x","a":"y"}`, `{"d":[{"sku":"a"}],"d":[{"count":1}]}`, `{"e":{"a":"b"},"e":{"c":"d"}}`,
		`{"g":{"sku":"a"},"g":{"count":2}}`, `{"q":{"a":{"sku":"1"},"a":{"count":3}}}`, `{"l":[1]}`, `{"l":[1,2,3]}`, `{"s":[1,null,3]}`,
		`{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`, `{"a":"\x"}`, "{\"a\":\"\xff\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\n\"}",
		`{"f":"2020-01-01"}`, `{"f":"2020-01-01T00:00:00+01:00"}`, `{"f":"2020-01-01T00:00:00,5Z"}`, `{"f":"2020-01-01T24:00:00Z"}`,
		`{"h":256}`, `{"h":-1}`, `{"h":"12"}`, `{"h":""}`, `{"i":"true"}`, `{"i":tru}`, `{"k":"YQ"}`, `{"b":1e3}`, `{"b":01}`, `{"j":1e400}`,
		`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, strings.Repeat(`{"a":`, 12000), `{"a":"` + strings.Repeat("[", 100) + `"}`,
		`{"a":"` + strings.Repeat("}", 100) + `","j":{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`,
		`{"f":"2020-01-01T00:00:00Z","f":null}`, `{"a":` + nested(10_001) + `}`, `{"b":"\"","a":` + nested(10_001) + `}`, `{"a":"x","b":{"c":1},"d":7}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, of := range types {
			same(t, codec, of, data)
		}
	})
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// Payloads that are almost right, a hundred thousand of them.
func TestDecode_is_that_of_encoding_json(t *testing.T) {
	t.Parallel()
	codec, types := decodedTypes()
	g := almostJSON{rand.New(rand.NewPCG(1, 2))} //nolint:gosec // the same each time
	for range 100_000 {
		data := []byte(g.object(0))
		for _, of := range types {
			same(t, codec, of, data)
		}
	}
}

// almostJSON makes objects for the types above, in which something is odd now and then.
type almostJSON struct{ r *rand.Rand }

func (g almostJSON) pick(list ...string) string { return list[g.r.IntN(len(list))] }

// mostly gives the first of a list most of the time.
func (g almostJSON) mostly(list ...string) string {
	if g.r.IntN(16) > 0 {
		return list[0]
	}
	return g.pick(list...)
}

func (g almostJSON) number() string {
	return g.pick("0", "1", "-1", "01", "-0", "1.0", "1.5", ".5", "1.", "1e3", "1E+3", "1e", "1e400", "-", "+1", "255", "256",
		"9223372036854775807", "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "0x10", "1_000", "NaN",
		"1e-7", "3.4028236e38", "5e-324", "00", "1.e5", "--1", "0e0", "16777217")
}

func (g almostJSON) text() string {
	return g.pick(`""`, `"a"`, `"YQ=="`, `"YQ"`, `"Y Q=="`, `"YWJj"`, `"1"`, `"01"`, `"true"`, `"null"`, `"é"`, `"\u00e9"`, "\"a", `a"`, `'a'`,
		`"\"q\""`, `"\n"`, `"\x"`, `"\u12"`, `"\ud800"`, `"\ud83d\ude00"`, `"\ud83dx"`, "\"\xff\"", "\"a\xc3\"", "\"\n\"", "\"\x00\"", "\"\x7f\"", `"\/"`, `"\u0000"`, `"a\`,
		`"00000000-0000-0000-0000-000000000001"`, `"{00000000-0000-0000-0000-00000000000A}"`, `"\"1\""`,
		`"2020-01-01T00:00:00Z"`, `"2020-01-01T00:00:00.123456789Z"`, `"2020-01-01T00:00:00.1234567891Z"`, `"2020-01-01T00:00:00+01:00"`,
		`"2020-01-01T00:00:00+24:00"`, `"2020-01-01T00:00:00+0100"`, `"2020-1-01T00:00:00Z"`, `"2020-02-30T00:00:00Z"`, `"2020-01-01T24:00:00Z"`,
		`"2020-01-01 00:00:00Z"`, `"2020-01-01T00:00:00z"`, `"2020-01-01T00:00:00"`, `"2020-01-01T00:00:00,5Z"`, `"10000-01-01T00:00:00Z"`, `"2020-01-01T00:00:00.Z"`)
}

func (g almostJSON) value(depth int) string {
	switch g.r.IntN(8) {
	case 0, 1:
		return g.number()
	case 2, 3:
		return g.text()
	case 4:
		return g.mostly("null", "true", "false", "nul", "True", "truee", "")
	case 5:
		return g.array(depth, g.value)
	default:
		return g.object(depth + 1)
	}
}

func (g almostJSON) array(depth int, element func(depth int) string) string {
	if depth > 3 {
		return "[]"
	}
	list := make([]string, g.r.IntN(4))
	for i := range list {
		list[i] = element(depth + 1)
	}
	return "[" + strings.Join(list, g.mostly(",", " , ", ",,", "")) + g.mostly("]", ",]", "}", "")
}

// typed is mostly of a kind that fits one of the fields of the name.
func (g almostJSON) typed(name string, depth int) string {
	switch name := strings.ToLower(name); {
	case g.r.IntN(4) == 0:
		return g.value(depth)
	case slices.Contains([]string{"b", "c", "h", "j", "n", "r", "t", "count", "price"}, name):
		return g.number()
	case name == "d" || name == "l":
		return g.array(depth, g.object)
	case name == "s" || name == "p":
		return g.array(depth, func(int) string { return g.pick(g.number(), g.text()) })
	case name == "e" || name == "q" || name == "g" || name == "m":
		return g.object(depth + 1)
	default:
		return g.text()
	}
}

func (g almostJSON) object(depth int) string {
	if depth > 3 {
		return "{}"
	}
	list := make([]string, g.r.IntN(5))
	for i := range list {
		name := g.pick(strings.Split(`a b c d e f g h i j k l M N O P Q R S T m A B s ſ K sku count price SKU x X own 1 -1 01 `+"\xff "+`\u0061 a\n 00000000-0000-0000-0000-000000000001`, " ")...)
		list[i] = fmt.Sprintf(`"%s"%s%s`, name, g.mostly(":", " : ", "", "="), g.typed(name, depth))
	}
	return g.mostly("{", " { ", "[", "") + strings.Join(list, g.mostly(",", " , ", ",,", "")) + g.mostly("}", " } ", "}}", "", ",}", "}x", "} 1")
}

func BenchmarkDecode(b *testing.B) {
	codec, _ := decodedTypes()
	data := []byte(`{"a":"acc-123","b":123,"e":{"note":"number 12345 of the account"},"f":"2026-01-02T03:04:05.123456Z"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := codec.Decode(b.Context(), nil, es.RecordedEvent{Recorded: es.Recorded{Type: "wide"}, Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}
