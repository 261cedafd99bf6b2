package storetest

import (
	"bytes"
	"strings"

	"github.com/asof-dev/asof/es"
)

func one(change func(*es.EventData)) es.EventData {
	event := data(1)[0]
	change(&event)
	return event
}

func nameLimits(w *world) {
	long := strings.Repeat("x", 1000)
	accepted := []es.StreamID{
		{Category: "a", ID: "1"},
		{Category: long[:es.MaxCategory], ID: long[:es.MaxID]},
		{Category: "A.b_c-9", ID: "any/text: ö \u4e16\u754c \U0001F600 'quoted\" \\ %s $1"},
		{Category: "...", ID: strings.Repeat("ö", es.MaxID/2)},
	}
	for _, s := range accepted {
		recorded, err := w.store.Append(w.Context(), s, es.NoStream, data(1)...)
		if err != nil {
			w.Errorf("%s is refused: %v", s, err)
			continue
		}
		got, err := collect(w.Context(), w.store, s, 1)
		if err != nil {
			w.Errorf("read %s: %v", s, err)
		}
		w.same("a stream of that name comes back", recorded, got)
	}
	for what, s := range map[string]es.StreamID{
		"no category":              {Category: "", ID: "1"},
		"a long category":          {Category: long[:es.MaxCategory+1], ID: "1"},
		"a slash in the category":  {Category: "a/b", ID: "1"},
		"a space in the category":  {Category: "a b", ID: "1"},
		"letters outside of ASCII": {Category: "ö", ID: "1"},
		"the category .":           {Category: ".", ID: "1"},
		"the category ..":          {Category: "..", ID: "1"},
		"no id":                    {Category: "a", ID: ""},
		"a long id":                {Category: "a", ID: long[:es.MaxID+1]},
		"a line break in the id":   {Category: "a", ID: "1\n2"},
		"a zero in the id":         {Category: "a", ID: "1\x00"},
		"an id that is not UTF-8":  {Category: "a", ID: "\xff"},
	} {
		_ = w.refusal(what, s, es.Any, es.ErrInvalid, data(1)...)
		if _, err := collect(w.Context(), w.store, s, 1); err == nil {
			w.Errorf("%s: can be read", what)
		}
	}
}

func payloadLimits(w *world) {
	const binary = "application/octet-stream"
	largest := one(func(e *es.EventData) { e.ContentType, e.Data = binary, bytes.Repeat([]byte{0xff}, es.MaxData) })
	recorded := w.append("largest", es.NoStream, largest)
	w.same("the largest payload comes back", recorded, w.read("largest", 1))
	for what, change := range map[string]func(*es.EventData){
		"a payload too large":   func(e *es.EventData) { e.ContentType, e.Data = binary, make([]byte, es.MaxData+1) },
		"JSON that ends early":  func(e *es.EventData) { e.Data = []byte(`{"a":`) },
		"two JSON values":       func(e *es.EventData) { e.Data = []byte(`{} {}`) },
		"an empty JSON payload": func(e *es.EventData) { e.Data = nil },
		"JSON that isn't UTF-8": func(e *es.EventData) { e.Data = []byte("\"\xff\"") },
		"NaN":                   func(e *es.EventData) { e.Data, e.ContentType = []byte(`NaN`), es.JSONContentType },
	} {
		w.refused(what, "refused", es.Any, es.ErrInvalid, one(change))
	}
	w.none("after bad payloads", stream("refused"))
}

func metadataLimits(w *world) {
	with := func(m es.Metadata) es.EventData { return one(func(e *es.EventData) { e.Metadata = m }) }
	extra := func(key, value string) es.EventData {
		return with(es.Metadata{Extra: map[string]string{key: value}})
	}
	const frame = len(`{"correlation":""}`)
	largest := with(es.Metadata{CorrelationID: strings.Repeat("c", es.MaxMetadata-frame)})
	recorded := w.append("1", es.NoStream, largest, extra(strings.Repeat("k", 20), "v"), extra("a1", "ö"))
	w.same("the largest metadata comes back", recorded, w.read("1", 1))
	for what, event := range map[string]es.EventData{
		"metadata too large":             with(es.Metadata{CorrelationID: strings.Repeat("c", es.MaxMetadata-frame+1)}),
		"an empty key":                   extra("", "v"),
		"a long key":                     extra(strings.Repeat("k", 21), "v"),
		"a capital in a key":             extra("userId", "v"),
		"a dash in a key":                extra("user-id", "v"),
		"a key that Asof publishes":      extra("version", "v"),
		"a key that CloudEvents defines": extra("source", "v"),
		"a key of the trace context":     extra("traceparent", "v"),
		"a line break in a value":        extra("a", "1\r\n2"),
		"a value that is not UTF-8":      extra("a", "\xff"),
		"a line break in an id":          with(es.Metadata{CausationID: "1\n"}),
	} {
		w.refused(what, "refused", es.Any, es.ErrInvalid, event)
	}
	w.none("after bad metadata", stream("refused"))
}

func batchLimits(w *world) {
	recorded := w.append("many", es.NoStream, data(es.MaxBatch)...)
	w.ordered(recorded)
	w.refused("one event too many", "refused", es.Any, es.ErrInvalid, data(es.MaxBatch+1)...)
	w.refused("no events", "refused", es.Any, es.ErrInvalid)

	large := func(total int) (events []es.EventData) {
		for total > 0 {
			n := min(total, es.MaxData)
			events = append(events, one(func(e *es.EventData) { e.ContentType, e.Data = "application/octet-stream", make([]byte, n) }))
			total -= n
		}
		return events
	}
	w.ordered(w.append("large", es.NoStream, large(es.MaxBatchBytes)...))
	w.refused("one byte too many", "refused", es.Any, es.ErrInvalid, large(es.MaxBatchBytes+1)...)
	w.none("after bad batches", stream("refused"))
}

func otherLimits(w *world) {
	long := strings.Repeat("t", 1000)
	w.append("1", es.NoStream,
		one(func(e *es.EventData) { e.Type = long[:es.MaxType] }),
		one(func(e *es.EventData) { e.Type = "Acme.Orders:v2/order_placed-now" }),
		one(func(e *es.EventData) { e.ContentType = "text/" + long[:es.MaxContentType-5] }),
		one(func(e *es.EventData) { e.Schema = 1<<31 - 1 }),
	)
	got := w.read("1", 1)
	if got[0].Type != long[:es.MaxType] || len(got[2].ContentType) != es.MaxContentType || got[3].Schema != 1<<31-1 {
		w.Errorf("the largest values came back as %+v", got)
	}
	for what, change := range map[string]func(*es.EventData){
		"no id":                          func(e *es.EventData) { e.ID = [16]byte{} },
		"no type":                        func(e *es.EventData) { e.Type = "" },
		"a long type":                    func(e *es.EventData) { e.Type = long[:es.MaxType+1] },
		"a space in the type":            func(e *es.EventData) { e.Type = "a b" },
		"letters outside of ASCII":       func(e *es.EventData) { e.Type = "ö" },
		"a long content type":            func(e *es.EventData) { e.ContentType = long[:es.MaxContentType+1] },
		"a line break in a content type": func(e *es.EventData) { e.ContentType = "text/plain\r\n" },
		"a structured CloudEvent":        func(e *es.EventData) { e.ContentType = "Application/CloudEvents+json" },
		"a negative schema":              func(e *es.EventData) { e.Schema = -1 },
		"a schema out of range":          func(e *es.EventData) { e.Schema = 1 << 31 },
	} {
		w.refused(what, "refused", es.Any, es.ErrInvalid, one(change))
	}
	w.none("after bad events", stream("refused"))
}
