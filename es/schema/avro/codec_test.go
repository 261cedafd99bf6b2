package avro_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	foreign "github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/memstore"
	"github.com/asof-dev/asof/es/schema/avro"
)

const placedSchema = `{"type": "record", "name": "Placed", "namespace": "shop", "fields": [
	{"name": "number", "type": "long"},
	{"name": "customer", "type": "string"},
	{"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}},
	{"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
		{"name": "sku", "type": "string"}, {"name": "price", "type": "double"}]}}},
	{"name": "tags", "type": {"type": "map", "values": "string"}},
	{"name": "note", "type": ["null", "string"], "default": null},
	{"name": "raw", "type": "bytes"},
	{"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
	{"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}}]}`

type (
	placed struct {
		Number   int64             `avro:"number"`
		Customer string            `avro:"customer"`
		State    string            `avro:"state"`
		Lines    []orderLine       `avro:"lines"`
		Tags     map[string]string `avro:"tags"`
		Note     *string           `avro:"note"`
		Raw      []byte            `avro:"raw"`
		At       time.Time         `avro:"at"`
		Total    big.Rat           `avro:"total"`
	}
	orderLine struct {
		Sku   string  `avro:"sku"`
		Price float64 `avro:"price"`
	}
	paid struct {
		Cents int64 `avro:"cents"`
	}
	paid2 struct {
		Amount   int64  `avro:"amount"`
		Currency string `avro:"currency"`
	}
	grown struct {
		Next *grown `avro:"next"`
	}
)

func (placed) EventType() string { return "order.placed" }
func (*paid) EventType() string  { return "order.paid" }
func (paid2) EventType() string  { return "order.paid" }
func (paid2) EventSchema() int   { return 2 }
func (grown) EventType() string  { return "tree.grown" }

const (
	paidSchema  = `{"type": "record", "name": "Paid", "fields": [{"name": "cents", "type": "long"}]}`
	paid2Schema = `{"type": "record", "name": "Paid2", "fields": [{"name": "amount", "type": "long"}, {"name": "currency", "type": "string"}]}`
	treeSchema  = `{"type": "record", "name": "Tree", "fields": [{"name": "next", "type": ["null", "Tree"]}]}`
)

func full() placed {
	note := "to the back door"
	return placed{
		7, "ann", "PAID", []orderLine{{"a", 1.5}, {"b", math.Inf(1)}}, map[string]string{"k": "v"}, &note, []byte{0, 255},
		time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), *big.NewRat(12345, 100),
	}
}

func stream() es.StreamID { return es.StreamID{Category: "order", ID: "1"} }

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

// contracts are those of a log, and count who asks.
type contracts struct {
	mu    sync.Mutex
	by    map[string]es.Contract
	err   error
	asked int
}

func (c *contracts) Contract(_ context.Context, kind, fingerprint string) (es.Contract, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.err != nil {
		return es.Contract{}, c.err
	}
	found, ok := c.by[kind+fingerprint]
	if !ok {
		return found, fmt.Errorf("%w: %s %s", es.ErrUnknownContract, kind, fingerprint)
	}
	return found, nil
}

func (c *contracts) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// knows returns a context that has the contracts of what was written.
func knows(t *testing.T, events ...es.EventData) (context.Context, *contracts) {
	t.Helper()
	c := &contracts{by: map[string]es.Contract{}}
	for _, e := range events {
		c.by[e.Contract.Kind+e.Contract.Fingerprint] = *e.Contract
	}
	return es.WithContracts(t.Context(), c), c
}

func encode[E es.Event](t *testing.T, codec es.Codec[E], event E) es.EventData {
	t.Helper()
	data, err := codec.Encode(t.Context(), stream(), event)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var rats = cmp.Comparer(func(a, b big.Rat) bool { return a.Cmp(&b) == 0 })

func TestCodec_reads_what_it_writes(t *testing.T) {
	t.Parallel()
	codec := avro.New[es.Event](avro.Of(placed{}, placedSchema), avro.Of(&paid{}, paidSchema))
	if got := codec.Types(); !cmp.Equal(got, []string{"order.paid", "order.placed"}) {
		t.Error(got)
	}
	for _, event := range []es.Event{full(), placed{State: "NEW", Lines: []orderLine{}, Tags: map[string]string{}, Raw: []byte{}, At: time.Unix(0, 0).UTC()}, &paid{5}} {
		data := encode(t, codec, event)
		if data.ContentType != "application/avro" || data.Schema != 1 || data.Contract.Kind != "AVRO" {
			t.Errorf("%+v", data)
		}
		got, err := es.One(codec.Decode(t.Context(), nil, recorded(data)))
		if diff := cmp.Diff(event, got, rats); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
}

// The bytes are those of Avro's single-object encoding, as other programs know it.
func TestCodec_writes_single_objects(t *testing.T) {
	t.Parallel()
	data := encode(t, avro.New[es.Event](avro.Of(&paid{}, paidSchema)), es.Event(&paid{5}))
	var other paid
	rest, err := foreign.MustParse(paidSchema).DecodeSingleObject(data.Data, &other)
	if err != nil || len(rest) > 0 || other.Cents != 5 {
		t.Error(other, rest, err)
	}
	// The fingerprint of "int" stands in the specification's test data.
	if c := must(avro.Contract(`"int"`)); c.Fingerprint != "7275d51a3f395c8f" {
		t.Error(c.Fingerprint)
	}
	if got := fmt.Sprintf("%x", data.Data[2:10]); reversed(got) != data.Contract.Fingerprint {
		t.Error(got, data.Contract.Fingerprint)
	}
}

func reversed(digits string) (out string) {
	for i := 0; i < len(digits); i += 2 {
		out = digits[i:i+2] + out
	}
	return out
}

// What was decoded does not share the memory of the payload.
func TestCodec_keeps_nothing_of_the_payload(t *testing.T) {
	t.Parallel()
	former := strings.Replace(placedSchema, `"double"`, `"float"`, 1) // is resolved
	for _, schema := range []string{placedSchema, former} {
		event := full()
		event.Lines = event.Lines[:1]
		data := encode(t, avro.New[placed](avro.Of(placed{}, schema)), event)
		ctx, _ := knows(t, data)
		got, err := es.One(avro.New[placed](avro.Of(placed{}, placedSchema)).Decode(ctx, nil, recorded(data)))
		if err != nil {
			t.Fatal(err)
		}
		for i := range data.Data {
			data.Data[i] = 'x'
		}
		if diff := cmp.Diff(event, got, rats); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCodec_refuses_mistakes_of_the_program(t *testing.T) {
	t.Parallel()
	for words, types := range map[string][]avro.Type{
		"each needs a name of its own": {avro.Of(&paid{}, paidSchema), avro.Of(paid2{}, paid2Schema)},
		"schema is empty":              {avro.Of(&paid{}, "")},
		"no Avro schema":               {avro.Of(&paid{}, `{"type": "paid"}`)},
		"no field for Cents":           {avro.Of(&paid{}, `{"type": "record", "name": "Paid", "fields": []}`)},
		"no field for Lines[].Price":   {avro.Of(placed{}, strings.Replace(placedSchema, `, {"name": "price", "type": "double"}`, "", 1))},
		"currency":                     {avro.Of(&paid{}, strings.Replace(paidSchema, `[`, `[{"name": "currency", "type": "string"}, `, 1))},
		"int64 with Avro type string":  {avro.Of(&paid{}, strings.Replace(paidSchema, "long", "string", 1))},
		"lines.sku":                    {avro.Of(placed{}, strings.Replace(placedSchema, `"sku", "type": "string"`, `"sku", "type": "long"`, 1))},
		"note":                         {avro.Of(placed{}, strings.Replace(placedSchema, `["null", "string"]`, `["null", "long"]`, 1))},
		"no event of the codec's":      {avro.Of(nil, paidSchema)},
		"event type is empty":          {avro.Of(unnamed{}, `{"type": "record", "name": "U", "fields": []}`)},
	} {
		func() {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, words) {
					t.Errorf("%q: %s", words, said)
				}
			}()
			avro.New[es.Event](types...)
		}()
	}
}

type unnamed struct{}

func (unnamed) EventType() string { return "" }

// Types that take texts of their own kind only are no mistake.
func TestCodec_takes_types_that_choose(t *testing.T) {
	t.Parallel()
	defer func() {
		if said := fmt.Sprint(recover()); !strings.Contains(said, "avro_test.currency") {
			t.Error("another type is one:", said)
		}
	}()
	codec := avro.New[priced](avro.Of(priced{}, `{"type": "record", "name": "P", "fields": [{"name": "in", "type": "string"}]}`))
	data := encode(t, codec, priced{"EUR"})
	if got, err := es.One(codec.Decode(t.Context(), nil, recorded(data))); err != nil || got.In != "EUR" {
		t.Error(got, err)
	}
	avro.New[priced](avro.Of(priced{}, `{"type": "record", "name": "P", "fields": [{"name": "in", "type": "long"}]}`))
}

type (
	priced struct {
		In currency `avro:"in"`
	}
	currency string
)

func (priced) EventType() string { return "order.priced" }

func (c *currency) UnmarshalText(text []byte) error {
	if len(text) > 0 && len(text) != 3 {
		return errors.New("no currency")
	}
	*c = currency(text)
	return nil
}

func TestCodec_refuses_what_it_would_not_read_back(t *testing.T) {
	t.Parallel()
	codec := avro.New[es.Event](avro.Of(placed{}, placedSchema), avro.Of(grown{}, treeSchema))
	for what, of := range map[string]struct {
		event es.Event
		err   error
	}{
		"another type":      {&paid{}, es.ErrUnknownType},
		"a pointer":         {&grown{}, es.ErrUnknownType},
		"no symbol":         {placed{State: "LOST"}, es.ErrInvalid},
		"a circle":          {circular(), es.ErrInvalid},
		"too many decimals": {placed{State: "NEW", Total: *big.NewRat(1, 3)}, es.ErrInvalid},
	} {
		if _, err := codec.Encode(t.Context(), stream(), of.event); !errors.Is(err, of.err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func circular() grown {
	t := grown{}
	t.Next = &grown{&t}
	t.Next.Next = t.Next
	return t
}

func TestCodec_tells_versions_apart(t *testing.T) {
	t.Parallel()
	codec := avro.New[paid2](avro.Of(paid2{}, paid2Schema))
	data := encode(t, codec, paid2{5, "EUR"})
	if data.Schema != 2 {
		t.Error(data.Schema)
	}
	for schema, want := range map[int]error{0: es.ErrUndecodable, 1: es.ErrUndecodable, 2: nil, 3: es.ErrNewerSchema} {
		of := recorded(data)
		of.Schema = schema
		_, err := codec.Decode(t.Context(), nil, of)
		var typed *es.SchemaError
		if !errors.Is(err, want) || (want != nil) != errors.As(err, &typed) {
			t.Errorf("schema %d: %v", schema, err)
		}
	}
	of := recorded(data)
	of.Type = "order.lost"
	if _, err := codec.Decode(t.Context(), nil, of); !errors.Is(err, es.ErrUnknownType) {
		t.Error(err)
	}
}

type paidInto struct {
	Cents float64 `avro:"cents"`
	Note  string  `avro:"note"`
}

func (paidInto) EventType() string { return "order.paid" }

// Another schema of the same version is read where one reads the other, and the log is asked
// for it once.
func TestCodec_reads_what_another_schema_wrote(t *testing.T) {
	t.Parallel()
	writer := avro.New[es.Event](avro.Of(&paid{}, paidSchema))
	data := encode[es.Event](t, writer, &paid{5})
	ctx, log := knows(t, data)
	codec := avro.New[paidInto](avro.Of(paidInto{}, `{"type": "record", "name": "shop.Settled", "aliases": [".Paid"], "fields": [
		{"name": "cents", "type": "double"}, {"name": "note", "type": "string", "default": "none"}]}`))
	for range 3 {
		got, err := es.One(codec.Decode(ctx, nil, recorded(data)))
		if err != nil || got != (paidInto{5, "none"}) {
			t.Error(got, err)
		}
	}
	if n := log.times(); n != 1 {
		t.Errorf("the log was asked %d times", n)
	}
	text, err := es.Describe(t.Context(), writer, recorded(data))
	if err != nil || string(text) != `{"cents":5}` {
		t.Errorf("%s %v", text, err)
	}
	if text, err := es.Describe(ctx, codec, recorded(data)); err != nil || string(text) != `{"cents":5}` {
		t.Errorf("as written: %s %v", text, err)
	}
}

func TestCodec_says_why_it_does_not_read_what_another_schema_wrote(t *testing.T) {
	t.Parallel()
	codec := avro.New[placed](avro.Of(placed{}, placedSchema))
	for words, schema := range map[string]string{
		"field number became long (it was string)":   strings.Replace(placedSchema, `"number", "type": "long"`, `"number", "type": "string"`, 1),
		"field customer is new and has no default":   strings.Replace(placedSchema, `{"name": "customer", "type": "string"},`, "", 1),
		"field total became decimal(12,2)":           strings.Replace(placedSchema, `"scale": 2`, `"scale": 3`, 1),
		"field at became timestamp-micros (it was t": strings.Replace(placedSchema, `timestamp-micros`, `timestamp-millis`, 1),
	} {
		// Written by bare hands, as the Go type does not fit.
		w := foreign.MustParse(schema)
		value := map[string]any{"number": 1, "customer": "a", "state": "NEW", "lines": []any{}, "tags": map[string]any{}, "note": nil, "raw": []byte{}, "at": time.Now(), "total": "1"}
		if strings.Contains(schema, `"number", "type": "string"`) {
			value["number"] = "1"
		}
		c := must(avro.Contract(schema))
		data := es.EventData{ID: es.NewID(), Type: "order.placed", ContentType: avro.ContentType, Data: must(w.AppendSingleObject(nil, value)), Contract: &c}
		ctx, log := knows(t, data)
		for range 2 { // with logical types it is asked each time, as there may be several logs
			_, err := codec.Decode(ctx, nil, recorded(data))
			if !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "order.placed of order/1 version 3") {
				t.Errorf("%s: %v", words, err)
			}
		}
		if n := log.times(); n != 2 {
			t.Errorf("%s: the log was asked %d times", words, n)
		}
		codec = avro.New[placed](avro.Of(placed{}, placedSchema)) // of logical types alone the fingerprint is the same
	}
}

// Of two sources that differ in a scale alone each is read by its own, whichever came first.
func TestCodec_of_two_sources_keeps_their_logical_types_apart(t *testing.T) {
	t.Parallel()
	written := func(scale string) (context.Context, es.RecordedEvent) {
		schema := strings.Replace(placedSchema, `"scale": 2`, `"scale": `+scale, 1)
		data := encode[placed](t, avro.New[placed](avro.Of(placed{}, schema)), placed{State: "NEW", At: time.Unix(1, 0), Total: *big.NewRat(1, 2)})
		ctx, _ := knows(t, data)
		return ctx, recorded(data)
	}
	here, ours := written("2")
	there, theirs := written("3")
	renamed := strings.NewReplacer(`"name": "Placed"`, `"name": "Ordered", "aliases": ["shop.Placed"]`).Replace(placedSchema)
	for name, schema := range map[string]string{"of the same fingerprint": placedSchema, "of another": renamed} {
		for _, first := range []bool{true, false} {
			codec := avro.New[placed](avro.Of(placed{}, schema))
			read := map[bool]func(){
				true: func() {
					if got, err := es.One(codec.Decode(here, nil, ours)); err != nil || got.Total.Cmp(big.NewRat(1, 2)) != 0 {
						t.Errorf("%s: %v %v", name, got.Total.String(), err)
					}
				},
				false: func() {
					if got, err := codec.Decode(there, nil, theirs); !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), "decimal(12,3)") {
						t.Errorf("%s: %v %v", name, got, err)
					}
				},
			}
			for _, which := range []bool{first, !first, first} {
				read[which]()
			}
		}
	}
}

// What is not to be had now is asked for again.
func TestCodec_asks_for_contracts_again(t *testing.T) {
	t.Parallel()
	data := encode[es.Event](t, avro.New[es.Event](avro.Of(&paid{}, paidSchema)), &paid{5})
	codec := avro.New[paidInto](avro.Of(paidInto{}, `{"type": "record", "name": "Paid", "fields": [
		{"name": "cents", "type": "double"}, {"name": "note", "type": "string", "default": "none"}]}`))
	if _, err := codec.Decode(t.Context(), nil, recorded(data)); !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), "es.WithContracts") {
		t.Error(err)
	}
	ctx, log := knows(t)
	if _, err := codec.Decode(ctx, nil, recorded(data)); !errors.Is(err, es.ErrUndecodable) || !errors.Is(err, es.ErrUnknownContract) {
		t.Error(err)
	}
	for _, gone := range []error{es.ErrUnavailable, errors.New("the line is down")} {
		log.err = gone
		if _, err := codec.Decode(ctx, nil, recorded(data)); !errors.Is(err, es.ErrUnavailable) || errors.Is(err, es.ErrUndecodable) {
			t.Error(err)
		}
		if _, err := es.Describe(ctx, codec, recorded(data)); !errors.Is(err, es.ErrUnavailable) || errors.Is(err, es.ErrUndecodable) {
			t.Error(err)
		}
	}
	log.err = nil
	wrong := *data.Contract
	wrong.Text = `"int"`
	log.by["AVRO"+wrong.Fingerprint] = wrong
	if _, err := codec.Decode(ctx, nil, recorded(data)); !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), "is not what the payload was written by") {
		t.Error(err)
	}
	log.by["AVRO"+wrong.Fingerprint] = *data.Contract
	if _, err := codec.Decode(ctx, nil, recorded(data)); err != nil {
		t.Error(err)
	}
}

type exact struct {
	Cents int64 `avro:"cents"`
}

func (exact) EventType() string { return "order.paid" }
func (exact) EventStrict() bool { return true }

func TestCodec_of_a_strict_type_refuses_fields_that_it_has_not(t *testing.T) {
	t.Parallel()
	codec := avro.New[exact](avro.Of(exact{}, paidSchema))
	for schema, want := range map[string]string{
		strings.Replace(paidSchema, "[{", `[{"name": "note", "type": "string"}, {`, 1): "a field note",
		strings.Replace(paidSchema, "long", "int", 1):                                  "",
	} {
		c := must(avro.Contract(schema))
		value := map[string]any{"cents": 5, "note": "n"}
		data := es.EventData{Type: "order.paid", Data: must(foreign.MustParse(schema).AppendSingleObject(nil, value)), Contract: &c}
		ctx, _ := knows(t, data)
		got, err := es.One(codec.Decode(ctx, nil, recorded(data)))
		if want == "" && (err != nil || got.Cents != 5) || want != "" && (!errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), want)) {
			t.Error(got, err)
		}
	}
}

// A log takes texts that differ in docs, defaults and aliases, and none that would read otherwise.
func TestContract_is_the_same_for_what_reads_alike(t *testing.T) {
	t.Parallel()
	was := must(avro.Contract(placedSchema))
	for _, change := range [][2]string{{`"name": "number"`, `"doc": "d", "name": "number"`}, {`"default": null`, `"doc": ""`}, {`"name": "raw"`, `"aliases": ["bytes"], "name": "raw"`}, {"\t", " "}} {
		is := must(avro.Contract(strings.Replace(placedSchema, change[0], change[1], 1)))
		if !was.Same(is) || was.Text == is.Text {
			t.Error(change)
		}
	}
	for _, change := range [][2]string{{`"scale": 2`, `"scale": 3`}, {"micros", "millis"}, {`{"type": "long", "logicalType": "timestamp-micros"}`, `"long"`}} {
		is := must(avro.Contract(strings.Replace(placedSchema, change[0], change[1], 1)))
		if was.Same(is) || was.Fingerprint != is.Fingerprint {
			t.Error(change)
		}
	}
	store := memstore.New()
	codec := avro.New[placed](avro.Of(placed{}, placedSchema))
	data := encode(t, codec, full())
	must(store.Append(t.Context(), stream(), es.Any, data))
	documented := avro.New[placed](avro.Of(placed{}, strings.Replace(placedSchema, `"name": "number"`, `"doc": "d", "name": "number"`, 1)))
	must(store.Append(t.Context(), stream(), es.Any, encode(t, documented, full())))
	rescaled := avro.New[placed](avro.Of(placed{}, strings.Replace(placedSchema, `"scale": 2`, `"scale": 3`, 1)))
	if _, err := store.Append(t.Context(), stream(), es.Any, encode(t, rescaled, full())); !errors.Is(err, es.ErrInvalid) {
		t.Error(err)
	}
	ctx := es.WithContracts(t.Context(), store)
	if _, err := rescaled.Decode(ctx, nil, recorded(data)); !errors.Is(err, es.ErrUndecodable) {
		t.Error(err)
	}
	if _, err := documented.Decode(ctx, nil, recorded(data)); err != nil {
		t.Error(err)
	}
}

func TestUpcast_leads_from_schema_to_schema(t *testing.T) {
	t.Parallel()
	data := encode[es.Event](t, avro.New[es.Event](avro.Of(&paid{}, strings.Replace(paidSchema, "Paid", "Settled", 1))), &paid{5})
	ctx, _ := knows(t, data)
	// What the upcaster writes has another name than what the codec writes, and a field less.
	up := avro.Upcast("order.paid", 1, strings.Replace(paidSchema, `"name": "Paid"`, `"name": "Paid", "aliases": ["Settled"]`, 1),
		`{"type": "record", "name": "Second", "fields": [{"name": "amount", "type": "int"}]}`,
		func(old paid) (second, error) {
			if old.Cents < 0 {
				return second{}, errors.New("less than nothing")
			}
			return second{int32(old.Cents)}, nil
		})
	codec := es.Upcast(avro.New[paid2](avro.Of(paid2{}, `{"type": "record", "name": "Paid2", "aliases": ["Second"], "fields": [
		{"name": "amount", "type": "long"}, {"name": "currency", "type": "string", "default": "EUR"}]}`)), up)
	if got, err := es.One(codec.Decode(ctx, nil, recorded(data))); err != nil || got != (paid2{5, "EUR"}) {
		t.Error(got, err)
	}
	data = encode[es.Event](t, avro.New[es.Event](avro.Of(&paid{}, strings.Replace(paidSchema, "Paid", "Settled", 1))), &paid{-5})
	if _, err := codec.Decode(ctx, nil, recorded(data)); !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), "less than nothing") {
		t.Error(err)
	}
	data.Data = data.Data[:9]
	if _, err := codec.Decode(ctx, nil, recorded(data)); !errors.Is(err, es.ErrUndecodable) {
		t.Error(err)
	}
}

type second struct {
	Amount int32 `avro:"amount"`
}

// Several steps, of which each writes by a schema that stands nowhere else.
func TestUpcast_takes_several_steps(t *testing.T) {
	t.Parallel()
	named := func(name, alias string) string {
		return strings.Replace(paidSchema, `"Paid"`, fmt.Sprintf(`%q, "aliases": [%q]`, name, alias), 1)
	}
	more := func(p paid) (paid, error) { return paid{p.Cents + 1}, nil }
	codec := es.Upcast(avro.New[third](avro.Of(third{}, named("F", "E"))),
		avro.Upcast("order.paid", 1, named("B", "Paid"), named("C", "c"), more),
		avro.Upcast("order.paid", 2, named("D", "C"), named("E", "e"), more))
	data := encode[es.Event](t, avro.New[es.Event](avro.Of(&paid{}, paidSchema)), &paid{5})
	ctx, log := knows(t, data)
	for range 2 {
		if got, err := es.One(codec.Decode(ctx, nil, recorded(data))); err != nil || got.Cents != 7 {
			t.Error(got, err)
		}
	}
	if n := log.times(); n != 1 {
		t.Errorf("the log was asked %d times", n)
	}
}

type third struct {
	Cents int64 `avro:"cents"`
}

func (third) EventType() string { return "order.paid" }
func (third) EventSchema() int  { return 3 }

func TestUpcastJSON_and_Split(t *testing.T) {
	t.Parallel()
	codec := es.Upcast(avro.New[es.Event](avro.Of(paid2{}, paid2Schema), avro.Of(grown{}, treeSchema)),
		avro.UpcastJSON("order.paid", 1, paid2Schema, func(old struct{ Cents int64 }) (paid2, error) { return paid2{old.Cents, "EUR"}, nil }),
		avro.Split("order.taken", 1, paidSchema, func(old paid) ([]es.Event, error) {
			return []es.Event{grown{}, paid2{old.Cents, "CHF"}}, nil
		}, avro.Of(paid2{}, strings.Replace(paid2Schema, `"long"`, `"int"`, 1)), avro.Of(grown{}, treeSchema)))
	was := es.RecordedEvent{Recorded: es.Recorded{Type: "order.paid", Schema: 1, Stream: stream()}, ContentType: es.JSONContentType, Data: []byte(`{"cents": 5}`)}
	if got, err := es.One(codec.Decode(t.Context(), nil, was)); err != nil || got != (paid2{5, "EUR"}) {
		t.Error(got, err)
	}
	data := encode[es.Event](t, avro.New[es.Event](avro.Of(&paid{}, paidSchema)), &paid{5})
	data.Type = "order.taken"
	if got, err := codec.Decode(t.Context(), nil, recorded(data)); err != nil || !cmp.Equal(got, []es.Event{grown{}, paid2{5, "CHF"}}) {
		t.Error(got, err)
	}
}

func TestDescribe_is_for_people(t *testing.T) {
	t.Parallel()
	codec := avro.New[placed](avro.Of(placed{}, placedSchema))
	data := encode(t, codec, full())
	want := `{"at":"2026-01-02T03:04:05.000006Z","customer":"ann","lines":[{"price":1.5,"sku":"a"},{"price":"+Inf","sku":"b"}],"note":"to the back door","number":7,"raw":"AP8=","state":"PAID","tags":{"k":"v"},"total":123.45}`
	if got, err := es.Describe(t.Context(), codec, recorded(data)); err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
}

// Whatever is drawn comes back, by its own schema and by a wider one.
func TestCodec_round_trip(t *testing.T) {
	t.Parallel()
	codec := avro.New[placed](avro.Of(placed{}, placedSchema))
	rapid.Check(t, func(r *rapid.T) {
		event := placed{
			rapid.Int64().Draw(r, "number"), rapid.String().Draw(r, "customer"), rapid.SampledFrom([]string{"NEW", "PAID"}).Draw(r, "state"),
			rapid.SliceOf(rapid.Custom(func(r *rapid.T) orderLine {
				return orderLine{rapid.String().Draw(r, "sku"), rapid.Float64().Draw(r, "price")}
			})).Draw(r, "lines"),
			rapid.MapOf(rapid.String(), rapid.String()).Draw(r, "tags"), rapid.Ptr(rapid.String(), true).Draw(r, "note"), rapid.SliceOf(rapid.Byte()).Draw(r, "raw"),
			time.UnixMicro(rapid.Int64Range(-1e15, 1e15).Draw(r, "at")).UTC(), *big.NewRat(rapid.Int64Range(-1e9, 1e9).Draw(r, "total"), 100),
		}
		data, err := codec.Encode(context.Background(), stream(), event)
		if err != nil {
			r.Fatal(err)
		}
		got, err := es.One(codec.Decode(context.Background(), nil, recorded(data)))
		if diff := cmp.Diff(event, got, rats); err != nil || diff != "" {
			r.Fatal(err, diff)
		}
	})
}

func TestCodec_is_safe_for_concurrent_use(t *testing.T) {
	t.Parallel()
	data := encode(t, avro.New[placed](avro.Of(placed{}, strings.Replace(placedSchema, `"double"`, `"float"`, 1))), placed{State: "NEW"})
	ctx, _ := knows(t, data)
	codec := avro.New[placed](avro.Of(placed{}, placedSchema))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if _, err := codec.Decode(ctx, nil, recorded(data)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
