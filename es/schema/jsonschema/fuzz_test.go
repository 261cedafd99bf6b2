package jsonschema_test

import (
	"testing"

	"github.com/asof-dev/asof/es/schema/jsonschema"
)

// No text makes it crash, and each that is a schema reads itself.
func FuzzCanRead(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":"string"}}}`, `{"properties":{"a":{"enum":["x",1e3]}},"required":["a"]}`)
	f.Add(`{"oneOf":[{"$ref":"#/$defs/a"},{"type":"null"}],"$defs":{"a":{"items":{"$ref":"#"}}}}`, `{"not":{"$ref":"#"}}`)
	f.Add(`{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}`, `{"if":{"minimum":2},"then":{"multipleOf":0.1}}`)
	f.Add(`{"$id":"https://example.com/a","$defs":{"b":{"$anchor":"c","patternProperties":{"^a":true}}},"$ref":"#c"}`, `{"prefixItems":[{}],"unevaluatedItems":false,"contains":{"const":[{}]}}`)
	f.Fuzz(func(t *testing.T, reader, writer string) {
		if _, err := jsonschema.CanRead(reader, writer); err != nil {
			return
		}
		for _, s := range []string{reader, writer} {
			if problems, err := jsonschema.CanRead(s+" ", s); err != nil || len(problems) > 0 {
				t.Errorf("%s cannot read itself: %v %v", s, problems, err)
			}
		}
	})
}
