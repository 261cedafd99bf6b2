package jsonschema_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/jsonschema"
)

type shopEvent interface{ es.Event }

type placed struct {
	Total  *big.Int         `json:"total"`
	Status string           `json:"status"`
	Lines  []line           `json:"lines,omitempty"`
	Tags   []string         `json:"tags,omitempty"`
	Prices map[string]int64 `json:"prices,omitempty"`
	Extra  json.RawMessage  `json:"extra,omitempty"`
}

type line struct {
	Price int64 `json:"price"`
}

func (placed) EventType() string { return "order.placed" }

const placedSchema = `{
	"type": "object",
	"properties": {
		"total": {"type": "integer", "minimum": 0, "maximum": 9007199254740993},
		"status": {"enum": ["new", "paid"]},
		"lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
		"tags": {"type": "array", "uniqueItems": true, "items": {"type": "string", "pattern": "^[a-z]+$"}},
		"prices": {"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"maxLength": 3}},
		"at": {"format": "date-time"},
		"extra": true
	},
	"required": ["total", "status"],
	"additionalProperties": false,
	"$defs": {"line": {"properties": {"price": {"minimum": 0}}}}
}`

func order1() placed { return placed{Total: big.NewInt(5), Status: "new"} }

func recordedAs(eventType string, version int, data string) es.RecordedEvent {
	r := es.RecordedEvent{Data: []byte(data)}
	r.Type, r.Schema, r.Stream, r.Version = eventType, version, es.StreamID{Category: "order", ID: "1"}, 7
	return r
}

func TestNew_writes_what_JSON_writes(t *testing.T) {
	t.Parallel()
	ctx, stream := context.Background(), es.StreamID{Category: "order", ID: "1"}
	codec := jsonschema.New[shopEvent](jsonschema.Of(placed{}, placedSchema))
	event := order1()
	event.Lines, event.Tags = []line{{1}}, []string{"a", "b"}
	got, err := codec.Encode(ctx, stream, event)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := es.JSON[shopEvent](placed{}).Encode(ctx, stream, event)
	sum := sha256.Sum256([]byte(placedSchema))
	want.Contract = &es.Contract{Kind: "JSON", Fingerprint: hex.EncodeToString(sum[:]), Text: placedSchema}
	want.ID = got.ID
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	back, err := es.One(codec.Decode(ctx, nil, recordedAs(got.Type, got.Schema, string(got.Data))))
	if diff := cmp.Diff(shopEvent(event), back, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if err := es.ValidateAppend(stream, es.NoStream, []es.EventData{got}); err != nil {
		t.Error(err)
	}
}

// What is not valid is not written. The error has the place and the rule, and no value.
func TestNew_refuses_what_is_not_valid(t *testing.T) {
	t.Parallel()
	codec := jsonschema.New[shopEvent](jsonschema.Of(placed{}, placedSchema))
	secret := "s3cret"
	huge, _ := new(big.Int).SetString("9007199254740994", 10)
	for name, c := range map[string]struct {
		change func(*placed)
		want   string
	}{
		"a minimum":          {func(e *placed) { e.Total = big.NewInt(-1) }, "total does not fit minimum 0 (#/properties/total/minimum)"},
		"an exact maximum":   {func(e *placed) { e.Total = huge }, "total does not fit maximum 9007199254740993 (#/properties/total/maximum)"},
		"an enum":            {func(e *placed) { e.Status = secret }, "status does not fit enum (#/properties/status/enum)"},
		"a reference":        {func(e *placed) { e.Lines = []line{{1}, {-7}} }, "lines[1].price does not fit minimum 0 (#/$defs/line/properties/price/minimum)"},
		"items twice":        {func(e *placed) { e.Tags = []string{"a", "b", "a"} }, "tags does not fit uniqueItems true (#/properties/tags/uniqueItems)"},
		"a pattern":          {func(e *placed) { e.Tags = []string{"a", secret} }, "tags[1] does not fit pattern ^[a-z]+$ (#/properties/tags/items/pattern)"},
		"a name":             {func(e *placed) { e.Prices = map[string]int64{"long": 1} }, "prices does not fit propertyNames (#/properties/prices/propertyNames)"},
		"a null":             {func(e *placed) { e.Total = nil }, "total does not fit type integer (#/properties/total/type)"},
		"the first of two":   {func(e *placed) { e.Total, e.Status = nil, secret }, "status does not fit enum"},
		"a name twice":       {func(e *placed) { e.Extra = json.RawMessage(`{"a":1,"a":2}`) }, `the name "a" stands twice in an object of the payload`},
		"a number too large": {func(e *placed) { e.Extra = json.RawMessage(`[1e401]`) }, "a number of 5 characters is out of range"},
		"a number too long":  {func(e *placed) { e.Extra = json.RawMessage(strings.Repeat("1", 1001)) }, "a number of 1001 characters is out of range"},
		"no UTF-8":           {func(e *placed) { e.Extra = json.RawMessage("\"\xff\"") }, "the payload is not UTF-8"},
		"too deep":           {func(e *placed) { e.Extra = nested(1000) }, "the payload is nested deeper than 1000 levels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := order1()
			c.change(&event)
			data, err := codec.Encode(context.Background(), es.StreamID{}, event)
			if !errors.Is(err, es.ErrInvalid) || !strings.HasPrefix(err.Error(), "es: invalid: encode order.placed: "+c.want) {
				t.Errorf("got %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "-7")) {
				t.Errorf("it has the value: %v", err)
			}
			if data.Data != nil {
				t.Error("it has a payload")
			}
		})
	}
	event := order1()
	event.Total, _ = new(big.Int).SetString("9007199254740993", 10)
	if _, err := codec.Encode(context.Background(), es.StreamID{}, event); err != nil {
		t.Error(err)
	}
}

func nested(depth int) json.RawMessage {
	return json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
}

// Who has asked for it has payloads checked that others wrote; who has not reads what is there.
func TestType_Checked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	of := jsonschema.Of(placed{}, placedSchema)
	trusting, checked := jsonschema.New[shopEvent](of), jsonschema.New[shopEvent](of.Checked())
	before := []shopEvent{order1()}
	for name, c := range map[string]struct{ data, want string }{
		"a minimum":        {`{"total":-1,"status":"new"}`, "total does not fit minimum 0"},
		"a name more":      {`{"total":1,"status":"new","note":"s3cret"}`, "the payload does not fit additionalProperties false: note is not among its names (#/additionalProperties)"},
		"another case":     {`{"total":1,"status":"new","TOTAL":-1}`, "TOTAL is not among its names"},
		"a name less":      {`{"total":1}`, "the payload does not fit required: status is missing (#/required)"},
		"the first place":  {`{"total":1,"status":"new","lines":[{"price":-1}],"at":"s3cret"}`, "at does not fit format date-time"},
		"a time":           {`{"total":1,"status":"new","at":"s3cret"}`, "at does not fit format date-time (#/properties/at/format)"},
		"a name twice":     {`{"total":1,"status":"new","total":-1}`, `the name "total" stands twice`},
		"escaped, twice":   {`{"total":1,"status":"new","\u0074otal":-1}`, `the name "total" stands twice`},
		"a lone surrogate": {`{"total":1,"status":"new","extra":{"\ud800":1,"\ud801":2}}`, "stands twice"},
		"no UTF-8":         {"{\"total\":1,\"status\":\"new\",\"extra\":\"\xff\"}", "the payload is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recordedAs("order.placed", 1, c.data)
			if _, err := trusting.Decode(ctx, nil, r); err != nil {
				t.Error(err)
			}
			events, err := checked.Decode(ctx, before, r)
			if !errors.Is(err, es.ErrUndecodable) || !strings.HasPrefix(err.Error(), "es: event does not decode: order.placed of order/1 version 7: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if len(events) != 1 || strings.Contains(err.Error(), "s3cret") {
				t.Error(events, err)
			}
		})
	}
	if _, err := checked.Decode(ctx, nil, recordedAs("order.placed", 1, ` {"total" : 1.0e0 , "status": "n\u0065w", "tags" : [ "a" , "b" ], "extra": [ true, false, null, {} ] } `)); err != nil && !strings.Contains(err.Error(), "1.0e0") {
		t.Error(err)
	}
}

type versioned struct {
	ID int `json:"id"`
}

func (versioned) EventType() string { return "order.moved" }
func (versioned) EventSchema() int  { return 3 }

func TestNew_has_the_errors_of_JSON(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	codec := jsonschema.New[shopEvent](jsonschema.Of(versioned{}, `{"properties":{"id":{"minimum":1}}}`).Checked())
	plain := es.JSON[shopEvent](versioned{})
	for name, c := range map[string]struct {
		r    es.RecordedEvent
		want error
	}{
		"newer":   {recordedAs("order.moved", 4, `{}`), es.ErrNewerSchema},
		"former":  {recordedAs("order.moved", 2, `{"id":0}`), es.ErrUndecodable},
		"unknown": {recordedAs("order.lost", 1, `{}`), es.ErrUnknownType},
		"NaN":     {recordedAs("order.moved", 3, `{"id":NaN}`), es.ErrUndecodable},
		"more":    {recordedAs("order.moved", 3, `{"id":1} {}`), es.ErrUndecodable},
		"null":    {recordedAs("order.moved", 3, ``), es.ErrUndecodable},
	} {
		_, err := codec.Decode(ctx, nil, c.r)
		_, want := plain.Decode(ctx, nil, c.r)
		if !errors.Is(err, c.want) || want == nil || err.Error() != want.Error() {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	if _, err := codec.Encode(ctx, es.StreamID{}, order1()); !errors.Is(err, es.ErrUnknownType) {
		t.Error(err)
	}
	if data, err := codec.Encode(ctx, es.StreamID{}, versioned{1}); err != nil || data.Schema != 3 {
		t.Error(data, err)
	}
	if diff := cmp.Diff(plain.Types(), codec.Types()); diff != "" {
		t.Error(diff)
	}
}

// filled is valid only with something in it.
type filledIn struct {
	Code  string         `json:"code"`
	When  time.Time      `json:"when"`
	Next  *filledIn      `json:"next,omitempty"`
	Notes []string       `json:"notes"`
	Map   map[string]int `json:"map,omitempty"`
	Any   any            `json:"any"`
}

func (filledIn) EventType() string { return "filled" }

func TestNew_panics_at_mistakes(t *testing.T) {
	t.Parallel()
	empty, full := filledIn{}, filledIn{Code: "ABC", Notes: []string{}, Any: 1}
	remote := `{"$ref":"https://example.com/order.json"}`
	for name, c := range map[string]struct {
		example es.Event
		text    string
		want    string // none when there is no mistake
	}{
		"values are to come":   {empty, `{"properties":{"code":{"pattern":"^[A-Z]{3}$"},"when":{"format":"date-time"},"map":{"maxProperties":3,"required":["x"]},"any":{"type":"string"}},"required":["code","next","map"]}`, ""},
		"by pointer":           {&filledIn{}, `{"properties":{"code":{"enum":["x"]}}}`, ""},
		"either way":           {empty, `{"if":{"required":["next"]},"then":{"required":["more"]},"anyOf":[{"type":"string"},{"required":["code"]}]}`, ""},
		"another type":         {empty, `{"properties":{"code":{"type":"integer"}}}`, "does not fit it: of its JSON code does not fit type integer (#/properties/code/type)"},
		"a type within":        {empty, `{"properties":{"notes":{"items":{"type":"integer"}}}}`, "of its JSON notes[0] does not fit type integer"},
		"a name that it lacks": {empty, `{"required":["total"]}`, "total is missing"},
		"a name that it has":   {empty, `{"properties":{"code":{}},"additionalProperties":false}`, "is not among its names"},
		"a valid example":      {full, `{"properties":{"code":{"pattern":"^[A-Z]{3}$"},"any":{"type":"integer"}}}`, ""},
		"an invalid example":   {full, `{"properties":{"code":{"pattern":"^[a-z]{3}$"}}}`, "the example is not valid: code does not fit pattern"},
		"a remote reference":   {empty, remote, "leads out of the text, and remote references are not loaded"},
		"a file":               {empty, `{"$ref":"order.json"}`, "leads out of the text"},
		"no schema":            {empty, `7`, "it is no schema"},
		"no pattern":           {empty, `{"properties":{"code":{"pattern":"(?=a)"}}}`, "it is no schema"},
		"no JSON":              {empty, `{`, "it is no JSON"},
		"nothing":              {empty, ``, "it has 0 bytes"},
		"too much":             {empty, `{"title":"` + strings.Repeat("a", es.MaxContract) + `"}`, "bytes: give 1 to 1048576"},
		"no UTF-8":             {empty, "{\"title\":\"\xff\"}", "of UTF-8"},
		"in a circle":          {empty, `{"$ref":"#"}`, "does not fit $ref"},
		"a name twice":         {empty, `{"title":"a","title":"b"}`, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := panics(func() { jsonschema.New[es.Event](jsonschema.Of(c.example, c.text)) })
			if c.want == "" && got != "" || c.want != "" && (!strings.HasPrefix(got, "jsonschema: the schema of filled: ") || !strings.Contains(got, c.want)) {
				t.Errorf("got %q", got)
			}
		})
	}
	if got := panics(func() { jsonschema.New[placed](jsonschema.Of(empty, `{}`)) }); !strings.Contains(got, "none of the codec's events") {
		t.Error(got)
	}
	if got := panics(func() { jsonschema.New[es.Event](jsonschema.Of(empty, `{}`), jsonschema.Of(full, `{}`)) }); !strings.HasPrefix(got, "es: event type") {
		t.Error(got)
	}
}

func panics(do func()) (text string) {
	defer func() {
		switch r := recover().(type) {
		case string:
			text = r
		case error:
			text = r.Error()
		}
	}()
	do()
	return ""
}

func TestNew_by_several_goroutines(t *testing.T) {
	t.Parallel()
	codec := jsonschema.New[shopEvent](jsonschema.Of(placed{}, placedSchema))
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 200 {
				event := order1()
				event.Total = big.NewInt(int64(i%2 - 1))
				_, err := codec.Encode(context.Background(), es.StreamID{}, event)
				if (err != nil) != (i%2 == 0) {
					t.Error(i, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// Numbers are equal when they are, and not when they are only near.
func TestType_Checked_is_exact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schema, data string
		valid        bool
	}{
		{`{"const":9007199254740993}`, `9007199254740993.0`, true},
		{`{"const":9007199254740993}`, `9007199254740992.0`, false},
		{`{"enum":["a",0.1]}`, `1e-1`, true},
		{`{"enum":["a",0.1]}`, `0.1000000000000000000001`, false},
		{`{"const":[1,{"x":1.0}]}`, `[1.0,{"x":1}]`, true},
		{`{"const":[1,{"x":1.0}]}`, `[1.0,{"x":2}]`, false},
		{`{"const":"1"}`, `1`, false},
		{`{"const":0}`, `-0`, true},
		{`{"uniqueItems":true}`, `[9007199254740993.0,9007199254740992]`, true},
		{`{"uniqueItems":true}`, `[1,{"a":1,"b":2},{"b":2.0,"a":1}]`, false},
		{`{"uniqueItems":true}`, `["a\",\"b",["a","b"],["a\",\"b"]]`, true},
		{`{"multipleOf":0.1}`, `0.3`, true},
		{`{"type":"integer"}`, `100000000000000000000.0`, true},
		{`{"maximum":1e30}`, `1000000000000000000000000000001`, false},
	} {
		_, err := checkedRaw(c.schema).Decode(context.Background(), nil, recordedAs("raw", 1, c.data))
		if (err == nil) != c.valid {
			t.Errorf("%s by %s: %v", c.data, c.schema, err)
		}
	}
}
