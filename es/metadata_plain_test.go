package es_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
)

// Whatever stands in a row, metadata reads as encoding/json reads it.
func TestMetadata_reads_as_JSON_does(t *testing.T) {
	t.Parallel()
	sameAsJSON := func(t interface{ Fatalf(string, ...any) }, data []byte) {
		var got, want es.Metadata
		gotErr, wantErr := got.UnmarshalBinary(data), json.Unmarshal(data, &want)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s: error %v, of JSON %v", data, gotErr, wantErr)
		}
		if diff := cmp.Diff(want, got); gotErr == nil && diff != "" {
			t.Fatalf("%s: %s", data, diff)
		}
	}
	for _, text := range []string{
		`{}`, `{ }`, `{"correlation":"a"}`, `{"correlation":"a","correlation":"b"}`, `{"CORRELATION":"a"}`,
		`{"correlation":"a",}`, `{"correlation":"a"`, `{"correlation":"a"}}`, `{"correlation":null}`, `{"correlation":1}`,
		`{"correlation":"\u0041\"\\"}`, `{"correlation":"é"}`, "{\"correlation\":\"\xff\"}", "{\"correlation\":\"\t\"}",
		`{"unknown":"a"}`, `{"extra":{}}`, `{"extra":null}`, `{"extra":{"a":"1"},"extra":{"b":"2"}}`, `{"extra":{"a":"1","a":"2"}}`,
		`{"extra":{"a":1}}`, `{"extra":{"a":"1"},"causation":"c"}`, `null`, `[]`, `"`, `{`, `{"`, `{"extra":{"a":"1"`, `x`,
	} {
		sameAsJSON(t, []byte(text))
	}
	piece := rapid.SampledFrom([]string{`{`, `}`, `"`, `:`, `,`, `"correlation"`, `"causation"`, `"traceparent"`, `"tracestate"`, `"extra"`, `"v"`, `""`, `\`, ` `, `null`})
	rapid.Check(t, func(t *rapid.T) {
		var data []byte
		for _, p := range rapid.SliceOfN(piece, 1, 20).Draw(t, "pieces") {
			data = append(data, p...)
		}
		sameAsJSON(t, data)
	})
	rapid.Check(t, func(t *rapid.T) {
		m := es.Metadata{
			CorrelationID: rapid.String().Draw(t, "correlation"), CausationID: rapid.String().Draw(t, "causation"),
			TraceParent: rapid.String().Draw(t, "traceparent"), TraceState: rapid.String().Draw(t, "tracestate"),
			Extra: rapid.MapOf(rapid.StringMatching(`[a-z0-9]{1,20}`), rapid.String()).Draw(t, "extra"),
		}
		data, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 {
			sameAsJSON(t, data)
		}
	})
}

func BenchmarkMetadata(b *testing.B) {
	data, err := es.Metadata{
		CorrelationID: "0191f7b1-7c1e-7d6a-8f3e-3b1f5f1f5f1f", CausationID: "0191f7b1-7c1e-7d6a-8f3e-3b1f5f1f5f20",
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var m es.Metadata
		if err := m.UnmarshalBinary(data); err != nil {
			b.Fatal(err)
		}
	}
}
