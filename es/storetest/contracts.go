package storetest

import (
	"errors"
	"strings"

	"github.com/asof-dev/asof/es"
)

// written is an event that needs its contract.
func written(eventType string, c es.Contract) es.EventData {
	return es.EventData{ID: es.NewID(), Type: eventType, ContentType: "application/avro", Data: []byte{1}, Contract: &c}
}

// contractsAreKept holds a store that keeps contracts to what es.Contracts says.
func contractsAreKept(w *world) {
	kept, ok := w.store.(es.Contracts)
	if !ok {
		return // it keeps none, and codecs that need them say so
	}
	one := es.Contract{Kind: "AVRO", Fingerprint: "f1", Text: `"int"`}
	if _, err := kept.Contract(w.Context(), one.Kind, one.Fingerprint); !errors.Is(err, es.ErrUnknownContract) {
		w.Errorf("what was never written: %v", err)
	}
	w.append("1", es.NoStream, written("test.a", one), written("test.b", one), data(1)[0])
	documented := es.Contract{Kind: "AVRO", Fingerprint: "f3", Meaning: "m", Text: `{"type": "int"}`}
	w.append("1", es.Any, written("test.a", documented))
	for _, eventType := range []string{"test.a", "test.d"} { // the first stays
		w.append("1", es.Any, written(eventType, es.Contract{Kind: "AVRO", Fingerprint: "f3", Meaning: "m", Text: `"int"`}))
	}
	other := es.Contract{Kind: "PROTOBUF", Fingerprint: "f1", Text: "message A {}"}
	w.append("1", es.Any, written("test.a", one), written("test.c", other))
	for _, want := range []es.Contract{one, documented, other} {
		if got, err := kept.Contract(w.Context(), want.Kind, want.Fingerprint); err != nil || got != want {
			w.Errorf("%+v, %v", got, err)
		}
	}
	for what, c := range map[string]es.Contract{
		"another text of a fingerprint": {Kind: "AVRO", Fingerprint: "f1", Text: `"long"`},
		"another meaning":               {Kind: "AVRO", Fingerprint: "f3", Meaning: "n", Text: `{"type": "int"}`},
		"a meaning more":                {Kind: "AVRO", Fingerprint: "f1", Meaning: "m", Text: `"int"`},
		"a meaning less":                {Kind: "AVRO", Fingerprint: "f3", Text: `{"type": "int"}`},
		"too much meaning":              {Kind: "AVRO", Fingerprint: "f2", Meaning: strings.Repeat("m", 129), Text: `"int"`},
		"no kind":                       {Fingerprint: "f2", Text: `"int"`},
		"another kind":                  {Kind: "XML", Fingerprint: "f2", Text: `"int"`},
		"no fingerprint":                {Kind: "AVRO", Text: `"int"`},
		"no text":                       {Kind: "AVRO", Fingerprint: "f2"},
		"a zero":                        {Kind: "AVRO", Fingerprint: "f2", Text: "a\x00"},
		"no UTF-8":                      {Kind: "AVRO", Fingerprint: "f2", Text: "\xff"},
		"too much":                      {Kind: "AVRO", Fingerprint: "f2", Text: string(make([]byte, es.MaxContract+1))},
	} {
		for _, eventType := range []string{"test.a", "test.z"} {
			if _, err := w.store.Append(w.Context(), stream("1"), es.Any, written(eventType, c)); !errors.Is(err, es.ErrInvalid) {
				w.Errorf("%s: %v", what, err)
			}
		}
	}
	if got := len(w.read("1", 1)); got != 8 {
		w.Errorf("the stream has %d events, want 8", got)
	}
}
