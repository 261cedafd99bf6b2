package jsonschema_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/jsonschema"
)

// raw is an event whose payload is what it has.
type raw struct{ json.RawMessage }

func (raw) EventType() string { return "raw" }

func checkedRaw(schema string) es.Codec[raw] {
	return jsonschema.New[raw](jsonschema.Of(raw{}, schema).Checked())
}

const (
	// both checks each value on two ways, and those within it on four.
	both = `{"type":["object","string"],"allOf":[{"properties":{"a":{"$ref":"#"}}}],"properties":{"a":{"$ref":"#"}}}`
	// under does so where no errors are gathered.
	under = `{"not":{"$ref":"#/$defs/x"},"$defs":{"x":{"anyOf":[{"properties":{"a":{"$ref":"#/$defs/x"}},"required":["a"]},{"properties":{"a":{"$ref":"#/$defs/x"}},"required":["a"]}]}}}`
	// named does so by what is found at the time of the check.
	named = `{"$id":"https://example.com/a","$ref":"b","$defs":{
		"own":{"$dynamicAnchor":"n","type":["object","string"],"allOf":[{"properties":{"a":{"$dynamicRef":"#n"}}}],"properties":{"a":{"$dynamicRef":"#n"}}},
		"b":{"$id":"b","$dynamicRef":"#n","$defs":{"n":{"$dynamicAnchor":"n"}}}}}`
)

func hostilePayloads() map[string][2]string {
	const most = es.MaxData
	fill := func(of func(i int) string) string {
		var b strings.Builder
		b.WriteByte('[')
		for i := 0; b.Len() < most-100; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(of(i))
		}
		return b.String() + "]"
	}
	deep := func(open, core, end string, n int) string {
		return strings.Repeat(open, n) + core + strings.Repeat(end, n)
	}
	// splits are lists that the validator takes for one while it looks for equal ones.
	splits := fill(func(i int) string {
		var b strings.Builder
		b.WriteString(`["x`)
		for bit := range 20 {
			if i>>bit&1 == 1 {
				b.WriteString(`","x`)
			} else {
				b.WriteString(`\u0004x`)
			}
		}
		return b.String() + `"]`
	})
	return map[string][2]string{
		"nested 100,000 deep":       {`{}`, deep("[", "", "]", 100_000)},
		"nested as deep as is read": {`{"items":{"$ref":"#"},"uniqueItems":true}`, deep("[", "", "]", 1000)},
		"unended":                   {`{}`, strings.Repeat(`{"a":`, 100_000)},
		"NaN":                       {`{}`, `[NaN]`},
		"a million values":          {`{"items":{"type":"integer"}}`, fill(func(int) string { return "1" })},
		"a million wrong values":    {`{"items":{"type":"string"}}`, fill(func(int) string { return "1" })},
		"deep and wrong":            {`{"items":{"anyOf":[{"type":"string"},{"$ref":"#"}]},"type":"array"}`, deep("[", strings.Repeat("1,", 200_000)+"1", "]", 900)},
		"large numbers":             {`{"items":{"multipleOf":0.01,"minimum":7}}`, fill(func(int) string { return "1e400" })},
		"huge exponents":            {`{"items":{"minimum":1}}`, fill(func(int) string { return "1e999999999" })},
		"long numbers":              {`{"items":{"type":"integer"}}`, fill(func(int) string { return strings.Repeat("9", 999) })},
		"unique numbers":            {`{"uniqueItems":true}`, fill(func(i int) string { return fmt.Sprint(i) })},
		"unique and of one hash":    {`{"uniqueItems":true}`, splits},
		"unique at each level":      {`{"items":{"$ref":"#"},"uniqueItems":true}`, deep("[", strings.Repeat("[],", 100_000)+"1", "]", 900)},
		"an enum of many":           {`{"items":{"enum":` + fill(func(i int) string { return fmt.Sprintf("%d.5", i) }) + `}}`, fill(func(i int) string { return fmt.Sprint(i) })},
		"a slow pattern":            {`{"pattern":"^(a+)+$"}`, `"` + strings.Repeat("a", most-10) + `!"`},
		"two ways":                  {both, deep(`{"a":`, `7`, `}`, 40)},
		"two ways, valid":           {both, deep(`{"a":`, `"x"`, `}`, 40)},
		"two ways, and not":         {under, deep(`{"a":`, `7`, `}`, 40)},
		"two ways by name":          {named, deep(`{"a":`, `7`, `}`, 40)},
		"many names":                {`{"additionalProperties":false}`, "{" + strings.Trim(fill(func(i int) string { return fmt.Sprintf(`"%d":1`, i) }), "[]") + "}"},
		"long paths":                {`{"additionalProperties":{"type":"string"}}`, `{"` + strings.Repeat("n", most-10) + `":1}`},
	}
}

// No payload takes long: each is decoded, or is an error that says why not.
func TestType_Checked_of_hostile_payloads(t *testing.T) {
	t.Parallel()
	for name, c := range hostilePayloads() {
		t.Run(name, func(t *testing.T) { // alone, for the time that it takes
			codec := checkedRaw(c[0])
			begin := time.Now()
			_, err := codec.Decode(context.Background(), nil, recordedAs("raw", 1, c[1]))
			if took := time.Since(begin); took > 5*time.Minute {
				t.Errorf("it took %s", took)
			}
			if err != nil && (!errors.Is(err, es.ErrUndecodable) || len(err.Error()) > 500) {
				t.Errorf("%.500v", err)
			}
		})
	}
}

// What was too much once is not in the way of what comes next.
func TestType_Checked_after_a_hostile_payload(t *testing.T) {
	t.Parallel()
	codec := checkedRaw(both)
	for range 3 {
		_, err := codec.Decode(context.Background(), nil, recordedAs("raw", 1, strings.Repeat(`{"a":`, 60)+`"x"`+strings.Repeat("}", 60)))
		if !errors.Is(err, es.ErrUndecodable) || !strings.Contains(err.Error(), "takes too long to check") {
			t.Error(err)
		}
		if _, err := codec.Decode(context.Background(), nil, recordedAs("raw", 1, `{"a":{"a":"x"}}`)); err != nil {
			t.Error(err)
		}
	}
}

// That it is not valid is found soon here, and where it is not would take for ever.
func TestType_Checked_does_not_look_long_for_the_place(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{both, named} {
		begin := time.Now()
		_, err := checkedRaw(schema).Decode(context.Background(), nil, recordedAs("raw", 1, strings.Repeat(`{"a":`, 40)+`7`+strings.Repeat("}", 40)))
		if took := time.Since(begin); took > 5*time.Minute || err == nil || !strings.Contains(err.Error(), "too large to say where") {
			t.Errorf("%s: %v", took, err)
		}
	}
}
