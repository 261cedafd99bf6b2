package jsonschema_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es/schema/jsonschema"
)

// A text that is no schema is named, with the place.
func TestCanRead_says_what_is_wrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"no JSON", `{"type":`, "it is no JSON: unexpected end"},
		{"nothing", ``, "it is no JSON"},
		{"two texts", `{} {}`, "it is no JSON"},
		{"no schema", `7`, "at #: it is no schema"},
		{"no schema below", `{"properties":{"a":"string"}}`, "at #/properties/a: it is no schema"},
		{"no type", `{"properties":{"a":{"type":["string","decimal"]}}}`, "at #/properties/a/type/1: decimal is no type"},
		{"no types", `{"type":[]}`, "at #/type: type is []"},
		{"a name twice", `{"properties":{"a":{},"a":{}}}`, `at #/properties: "a" stands there twice`},
		{"no list", `{"required":true}`, "at #/required: required is true"},
		{"no name", `{"required":["a",1]}`, "at #/required/1: required is 1"},
		{"no enum", `{"enum":"a"}`, "at #/enum"},
		{"no number", `{"minimum":"1"}`, "at #/minimum: minimum is 1: give a number"},
		{"no count", `{"maxItems":-1}`, "at #/maxItems: maxItems is -1"},
		{"half a count", `{"maxItems":1.5}`, "at #/maxItems: maxItems is 1.5"},
		{"no multiple", `{"multipleOf":0}`, "at #/multipleOf"},
		{"no pattern", `{"pattern":1}`, "at #/pattern"},
		{"no map", `{"properties":[]}`, "at #/properties"},
		{"no alternatives", `{"anyOf":[]}`, "at #/anyOf"},
		{"a list of before 2020-12", `{"items":[{}]}`, "at #/items: items is [{},]: give a schema: since 2020-12 a list is prefixItems"},
		{"another draft", `{"$schema":"https://json-schema.org/draft-03/schema"}`, "at #/$schema"},
		{"drafts in one text", `{"$defs":{"a":{"$schema":"http://json-schema.org/draft-07/schema#"}}}`, "at #/$defs/a/$schema"},
		{"a remote reference", `{"items":{"$ref":"https://example.com/a.json"}}`, `at #/items/$ref: "https://example.com/a.json" leads out of the text, and remote references are not loaded`},
		{"a reference to nothing", `{"$ref":"#/$defs/a"}`, `at #/$ref: "#/$defs/a" leads nowhere`},
		{"an anchor of nothing", `{"$ref":"#a"}`, "there is no such anchor"},
		{"a reference to no schema", `{"$ref":"#/title","title":"a"}`, "at #/title: it is no schema"},
		{"no reference", `{"$ref":1}`, "at #/$ref"},
		{"no URI", `{"$ref":"%"}`, "at #/$ref"},
		{"an $id twice", `{"$defs":{"a":{"$id":"x"},"b":{"$id":"x"}}}`, "at #/$defs/b/$id: another schema has"},
		{"a number out of range", `{"maximum":1e999999999}`, "at #/maximum: the number 1e999999999 is out of range"},
		{"percent", `{"properties":{"%d":1}}`, "at #/properties/%d: it is no schema"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := jsonschema.CanRead(c.text, `{}`)
			if err == nil || !strings.HasPrefix(err.Error(), "jsonschema: the reader's schema: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			_, err = jsonschema.CanRead(`{}`, c.text)
			if err == nil || !strings.HasPrefix(err.Error(), "jsonschema: the writer's schema: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// hostile are texts that were made to break their reader.
func hostile() map[string]string {
	const mebibyte = 1 << 20
	nested := func(open, core, end string, n int) string {
		return strings.Repeat(open, n) + core + strings.Repeat(end, n)
	}
	list := func(n int, of func(int) string) string {
		var b strings.Builder
		for i := 0; i < n && b.Len() < mebibyte; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(of(i))
		}
		return b.String()
	}
	long := strings.Repeat("n", mebibyte/2)
	return map[string]string{
		"nested 100,000 deep":       nested(`{"not":`, `true`, `}`, 100_000),
		"lists 100,000 deep":        nested(`[`, ``, `]`, 100_000),
		"nested as deep as is read": nested(`{"items":`, `{"type":"string"}`, `}`, 900),
		"nots as deep as is read":   nested(`{"not":`, `{"type":"string"}`, `}`, 900),
		"unended":                   strings.Repeat(`{"not":`, 100_000),
		"alternatives within":       nested(`{"type":"object","anyOf":[{"required":["b"]},{"required":["a"]}],"properties":{"a":`, `{"type":"string"}`, `}}`, 300),
		"itself":                    `{"$ref":"#"}`,
		"itself, among all":         `{"allOf":[{"$ref":"#"}],"type":"string"}`,
		"itself, among some":        `{"anyOf":[{"$ref":"#"},{"type":"string"}]}`,
		"itself, among one":         `{"oneOf":[{"$ref":"#"},{"type":"string"}]}`,
		"what it is not":            `{"not":{"$ref":"#"}}`,
		"if it is":                  `{"if":{"$ref":"#"},"then":{"type":"string"},"else":{"$ref":"#"}}`,
		"a circle":                  `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`,
		"a chain":                   `{"$ref":"#/$defs/d0","$defs":{` + list(30_000, func(i int) string { return fmt.Sprintf(`"d%d":{"$ref":"#/$defs/d%d"}`, i, i+1) }) + `,"d30000":{"type":"string"},"d25000":{"type":"string"}}}`,
		"a chain of items":          `{"$ref":"#/$defs/d0","$defs":{` + list(5_000, func(i int) string { return fmt.Sprintf(`"d%d":{"items":{"$ref":"#/$defs/d%d"}}`, i, i+1) }) + `,"d20000":{"type":"string"}}}`,
		"doubling": `{"$ref":"#/$defs/d0","$defs":{` + list(60, func(i int) string {
			return fmt.Sprintf(`"d%d":{"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}}`, i, i+1, i+1)
		}) + `,"d60":{"type":"string"}}}`,
		"each leads to each": `{"$ref":"#/$defs/d0","$defs":{` + list(40, func(i int) string {
			return fmt.Sprintf(`"d%d":{"minProperties":%d,"properties":{%s}}`, i, i%3, list(40, func(j int) string { return fmt.Sprintf(`"p%d":{"$ref":"#/$defs/d%d"}`, j, j) }))
		}) + `}}`,
		"many fields":                 `{"properties":{` + list(60_000, func(i int) string { return fmt.Sprintf(`"p%d":{"maxLength":%d}`, i, i) }) + `}}`,
		"many values":                 `{"enum":[` + list(100_000, func(i int) string { return fmt.Sprint(i * 3) }) + `]}`,
		"many numbers":                `{"enum":[` + list(100_000, func(i int) string { return fmt.Sprintf(`%de%d`, i+1, 300+i%100) }) + `]}`,
		"many alternatives":           `{"anyOf":[` + list(5_000, func(i int) string { return fmt.Sprintf(`{"minimum":%d}`, i) }) + `]}`,
		"many exclusive alternatives": `{"oneOf":[` + list(2_000, func(i int) string { return fmt.Sprintf(`{"required":["p%d"]}`, i) }) + `]}`,
		"many of all":                 `{"allOf":[` + list(5_000, func(i int) string { return fmt.Sprintf(`{"anyOf":[{"minimum":%d},{"maximum":%d}]}`, i, i) }) + `]}`,
		"many patterns":               `{"patternProperties":{` + list(3_000, func(i int) string { return fmt.Sprintf(`"^p%d(a|b)*$":{"type":"string"}`, i) }) + `},"properties":{` + list(3_000, func(i int) string { return fmt.Sprintf(`"p%d":{}`, i) }) + `}}`,
		"a pattern that backtracks":   `{"patternProperties":{"^(a+)+$":{"type":"string"}},"properties":{"` + strings.Repeat("a", 900) + `!":{"type":"null"}}}`,
		"long names":                  `{"properties":{"` + long + `":{"properties":{` + list(5_000, func(i int) string { return fmt.Sprintf(`"p%d":{"type":"null"}`, i) }) + `}}}}`,
		"a long name that leads back": `{"properties":{"` + long + `":{"$ref":"#"},"a":{"type":"null"}}}`,
		"many $ids":                   `{"$id":"https://example.com/` + strings.Repeat("n", 900) + `/","$defs":{` + list(5_000, func(i int) string { return fmt.Sprintf(`"p%d":{"$id":"p%d","$ref":"p%d"}`, i, i, (i+1)%5_000) }) + `}}`,
		"a large count":               `{"type":"array","minItems":1000000000000000000000,"contains":{"const":1},"minContains":100000000000000000000,"items":{"type":"integer"}}`,
	}
}

// No text takes for ever, nor too much of the stack: each has an error or a verdict.
func TestCanRead_of_hostile_texts(t *testing.T) {
	t.Parallel()
	texts := hostile()
	texts["small"] = `{"type":"object","properties":{"a":{"type":"string"}}}`
	for name, hostile := range texts {
		t.Run(name, func(t *testing.T) { // alone, for the time that it takes
			for _, other := range []string{hostile, texts["small"], texts["doubling"]} {
				for _, pair := range [][2]string{{retitled(hostile), other}, {other, retitled(hostile)}} {
					begin := time.Now()
					_, err := jsonschema.CanRead(pair[0], pair[1])
					if took := time.Since(begin); took > 5*time.Minute {
						t.Errorf("%s took %s: %v", name, took, err)
					}
				}
			}
		})
	}
}

// retitled is the schema with all minimums and types in other words, so that nothing is the same.
func retitled(text string) string {
	text = strings.ReplaceAll(text, `"type":"string"`, `"type":["string"]`)
	return strings.ReplaceAll(text, `"required"`, `"maxLength":9,"required"`)
}
