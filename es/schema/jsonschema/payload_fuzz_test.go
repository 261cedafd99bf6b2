package jsonschema_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	oracle "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/asof-dev/asof/es"
)

const fuzzedSchema = `{"type":["object","array"],"properties":{"a":{"$ref":"#"},"n":{"multipleOf":0.5,"enum":[1,2.5,"x",null,[1]]},"s":{"minLength":2}},
	"items":{"anyOf":[{"$ref":"#"},{"const":{"x":1.0}},{"type":"integer","not":{"minimum":10}}]},"uniqueItems":true,"unevaluatedProperties":{"type":"boolean"}}`

// What is decoded is valid as the validator has it, and what is not is no crash.
func FuzzChecked(f *testing.F) {
	codec, by := checkedRaw(fuzzedSchema), validator(f, fuzzedSchema)
	for _, seed := range []string{
		`{"a":[{"x":1},9]}`, `{"n":2.50,"s":"ab","z":true}`, `[1,1.0]`, `[1,-1,[],{"x":10e-1}]`, `{"a":1,"a":[]}`, `{"n":1e400}`, "[\"\xff\"]", `{"\u0061":[]}`, ` [ ] `, `NaN`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := codec.Decode(context.Background(), nil, recordedAs("raw", 1, string(data)))
		if err != nil && !errors.Is(err, es.ErrUndecodable) {
			t.Error(err)
		}
		if len(data) > 300 || bytes.ContainsAny(data, "eE\\") { // what the validator may choke on
			return
		}
		value, bad := oracle.UnmarshalJSON(bytes.NewReader(data))
		if valid := bad == nil && by.Validate(value) == nil; err == nil && !valid {
			t.Errorf("%q is decoded, and is not valid", data)
		}
	})
}
