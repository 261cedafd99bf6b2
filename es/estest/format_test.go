package estest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/avro"
)

// How an event that is Avro changes in the years.
type (
	bill struct {
		Cents int64  `avro:"cents"`
		Note  string `avro:"note"`
		State string `avro:"state"`
	}
	billLess struct {
		Cents int64  `avro:"cents"`
		State string `avro:"state"`
	}
	billRetyped struct {
		Cents string `avro:"cents"`
		Note  string `avro:"note"`
		State string `avro:"state"`
	}
	billWider struct {
		Cents float64 `avro:"cents"`
		Note  string  `avro:"note"`
		State string  `avro:"state"`
	}
	billMore struct {
		bill
		Currency string `avro:"currency"`
	}
	bill2 struct {
		Amount int64 `avro:"amount"`
	}
)

func (bill) EventType() string        { return "bill.sent" }
func (billLess) EventType() string    { return "bill.sent" }
func (billRetyped) EventType() string { return "bill.sent" }
func (billWider) EventType() string   { return "bill.sent" }
func (bill2) EventType() string       { return "bill.sent" }
func (bill2) EventSchema() int        { return 2 }

// billSchema is the schema of fields.
func billSchema(fields ...string) string {
	return `{"type": "record", "name": "Bill", "fields": [{"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}}, ` + strings.Join(fields, ", ") + `]}`
}

const (
	billCents = `{"name": "cents", "type": "long"}`
	billNote  = `{"name": "note", "type": "string"}`
)

func bills(e es.Event, fields ...string) es.Codec[es.Event] {
	return avro.New[es.Event](avro.Of(e, billSchema(fields...)))
}

func TestGolden_of_Avro(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	codec, example := bills(bill{}, billCents, billNote), bill{State: "PAID"}
	says(t, "no file yet", run(t, false, codec, dir, example), "bill.sent.v1.avro", "ASOF_GOLDEN=write")
	says(t, "the first file", run(t, true, codec, dir, example))
	if text := read(t, dir, "bill.sent.v1.avro.json"); !strings.Contains(text, `"note": "text"`) || !strings.Contains(text, `"state": "PAID"`) {
		t.Error(text)
	}
	if text := read(t, dir, "bill.sent.v1.avsc"); text != billSchema(billCents, billNote) {
		t.Error(text)
	}
	says(t, "as it was", run(t, false, codec, dir, example))
	says(t, "other values in the example", run(t, false, codec, dir, bill{Cents: 9, State: "NEW"}))
	written := read(t, dir, "bill.sent.v1.avro")
	for _, write := range []bool{false, true} { // leave to write is none to lose
		says(t, "a field less", run(t, write, bills(billLess{}, billCents), dir, billLess{State: "NEW"}), ".note", "EventSchema", "upcaster")
		says(t, "another type", run(t, write, bills(billRetyped{}, `{"name": "cents", "type": "string"}`, billNote), dir, billRetyped{State: "NEW"}), "cents became string (it was long)", "EventSchema")
		says(t, "a field without a default", run(t, write, bills(billMore{}, billCents, billNote, `{"name": "currency", "type": "string"}`), dir, billMore{bill: example}), "currency is new and has no default")
		says(t, "another logical type", run(t, write, bills(bill{}, `{"name": "cents", "type": {"type": "long", "logicalType": "timestamp-millis"}}`, billNote), dir, example), ".cents")
		says(t, "another codec", run(t, write, es.JSON[es.Event](bill{}), dir, example), "bill.sent.v1.avro", "application/json", "EventSchema")
	}
	if read(t, dir, "bill.sent.v1.avro") != written {
		t.Error("it was overwritten")
	}
	says(t, "a wider type", run(t, false, bills(billWider{}, `{"name": "cents", "type": "double"}`, billNote), dir, billWider{State: "NEW"}))
	says(t, "docs", run(t, false, bills(bill{}, `{"name": "cents", "type": "long", "doc": "in the smallest unit"}`, billNote), dir, example))

	more := bills(billMore{}, billCents, billNote, `{"name": "currency", "type": "string", "default": "EUR"}`)
	says(t, "a field more", run(t, false, more, dir, billMore{bill: example}), ".currency", "ASOF_GOLDEN=write")
	says(t, "that is written", run(t, true, more, dir, billMore{bill: example}))
	says(t, "and is lost", run(t, false, codec, dir, example), ".currency", "EventSchema")
}

func TestGolden_of_Avro_by_upcasters(t *testing.T) {
	dir := t.TempDir()
	says(t, "the first version", run(t, true, bills(bill{}, billCents, billNote), dir, bill{State: "NEW"}))
	upcast := func(factor int64) es.Codec[es.Event] {
		schema := `{"type": "record", "name": "Bill2", "fields": [{"name": "amount", "type": "long"}]}`
		return es.Upcast(avro.New[es.Event](avro.Of(bill2{}, schema)),
			// Of the former schema what is read is enough.
			avro.Upcast("bill.sent", 1, `{"type": "record", "name": "Bill", "fields": [`+billCents+`]}`, schema, func(old struct {
				Cents int64 `avro:"cents"`
			}) (bill2, error) {
				return bill2{old.Cents * factor}, nil
			}))
	}
	says(t, "what it makes is not known", run(t, false, es.Upcast(upcast(1)), dir), "bill.sent.v1@bill.sent.v2.json")
	says(t, "it is written", run(t, true, upcast(1), dir, bill2{}))
	says(t, "as it was", run(t, false, upcast(1), dir, bill2{}))
	says(t, "another upcaster", run(t, true, upcast(100), dir, bill2{}), ".amount", "bill.sent.v1@bill.sent.v2.json")
	for _, name := range []string{"bill.sent.v1.avsc", "bill.sent.v1.avro.json"} {
		path := filepath.Join(dir, name)
		text := read(t, dir, name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		says(t, name, run(t, true, upcast(1), dir, bill2{}), "bring it back")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A type that has changed its codec.
func TestGolden_from_JSON_to_Avro(t *testing.T) {
	dir := t.TempDir()
	says(t, "JSON", run(t, true, es.JSON[es.Event](bill{}), dir, bill{}))
	says(t, "Avro of the same version", run(t, true, bills(bill{}, billCents, billNote), dir, bill{State: "NEW"}), "bill.sent.v1.json", "application/avro", "EventSchema")
	schema := `{"type": "record", "name": "Bill2", "fields": [{"name": "amount", "type": "long"}]}`
	next := es.Upcast(avro.New[es.Event](avro.Of(bill2{}, schema)), avro.UpcastJSON("bill.sent", 1, schema, func(old struct{ Cents int64 }) (bill2, error) { return bill2{old.Cents}, nil }))
	says(t, "Avro of the next", run(t, true, next, dir, bill2{}))
	says(t, "as it was", run(t, false, next, dir, bill2{}))
	if text := read(t, dir, "bill.sent.v1@bill.sent.v2.json"); !strings.Contains(text, `"amount": 1`) {
		t.Error(text)
	}
}
