package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/asof-dev/asof/es"
)

func appendRecords(w *world) {
	events := data(3)
	events[1].Schema = 7
	before := time.Now()
	recorded := w.append("1", es.NoStream, events[0])
	recorded = append(recorded, w.append("1", es.Exactly(1), events[1:]...)...)
	w.ordered(recorded)
	for i, e := range recorded {
		if e.Version != es.Version(i+1) || e.Stream != stream("1") || e.ID != events[i].ID || e.Type != events[i].Type {
			w.Errorf("event %d was recorded as %+v", i+1, e.Recorded)
		}
		if e.ContentType != es.JSONContentType || !bytes.Equal(e.Data, events[i].Data) {
			w.Errorf("event %d was recorded with %s %q", i+1, e.ContentType, e.Data)
		}
		if e.Schema != max(events[i].Schema, 1) {
			w.Errorf("event %d has schema %d", i+1, e.Schema)
		}
		if e.RecordedAt.Location() != time.UTC || e.RecordedAt.Nanosecond()%1000 != 0 {
			w.Errorf("event %d was recorded at %s: want UTC in microseconds", i+1, e.RecordedAt)
		}
		if d := e.RecordedAt.Sub(before); d < -time.Hour || d > time.Hour {
			w.Errorf("event %d was recorded at %s, and it is %s now", i+1, e.RecordedAt, before)
		}
	}
	if recorded[1].RecordedAt != recorded[2].RecordedAt {
		w.Errorf("events of one append were recorded at %s and %s: want one moment", recorded[1].RecordedAt, recorded[2].RecordedAt)
	}
	w.same("the stream is what append returned", recorded, w.read("1", 1))
}

func appendKeepsMetadata(w *world) {
	all := []es.Metadata{
		{},
		{CorrelationID: "request 1", CausationID: "command 2"},
		{TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "vendor=a,other=b"},
		{Extra: map[string]string{"tenant": "ann & <bob>", "empty": "", "a1": "ö \u2028"}},
		{CorrelationID: "c", Extra: map[string]string{"user": `"quoted" \ back`}},
	}
	events := data(len(all))
	for i := range events {
		events[i].Metadata = all[i]
	}
	recorded := w.append("1", es.NoStream, events...)
	w.same("metadata comes back", recorded, w.read("1", 1))
	for i, e := range recorded {
		if want := all[i]; e.Metadata.CorrelationID != want.CorrelationID || e.Metadata.TraceState != want.TraceState || len(e.Metadata.Extra) != len(want.Extra) {
			w.Errorf("metadata %+v was recorded as %+v", want, e.Metadata)
		}
	}
}

func appendKeepsPayloads(w *world) {
	const binary = "application/x-protobuf"
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	payloads := []struct {
		contentType string
		data        []byte
	}{
		{"", []byte(`{"b": 1,  "a": 2, "b": 3, "big": 123456789012345678901234567890, "e": 1e400}`)}, // to the letter
		{"", []byte(`null`)},
		{"", []byte(`"\u0000 \ud800"`)},
		{es.JSONContentType, []byte(" [1,\n2] ")},
		{binary, every},
		{binary, nil},
		{binary, []byte{}},
		{"text/plain; charset=utf-8", []byte("no JSON")},
	}
	events := data(len(payloads))
	for i, p := range payloads {
		events[i].ContentType, events[i].Data = p.contentType, p.data
	}
	w.append("many", es.NoStream, events...)
	for i, e := range w.read("many", 1) {
		single := events[i]
		single.ID = es.NewID()
		w.append("single", es.Exactly(es.Version(i)), single)
		want := payloads[i].contentType
		if want == "" {
			want = es.JSONContentType
		}
		if e.ContentType != want || !bytes.Equal(e.Data, payloads[i].data) {
			w.Errorf("%s %q came back as %s %q", want, payloads[i].data, e.ContentType, e.Data)
		}
	}
	for i, e := range w.read("single", 1) {
		if !bytes.Equal(e.Data, payloads[i].data) {
			w.Errorf("%q came back as %q from an append of its own", payloads[i].data, e.Data)
		}
	}
}

func batchIsAtomic(w *world) {
	events := data(5)
	bad := slices.Clone(events)
	bad[4].Data = []byte(`{`)
	err := w.refusal("a batch whose last event is invalid", stream("1"), es.NoStream, es.ErrInvalid, bad...)
	if err != nil && !strings.Contains(err.Error(), "event 5 of 5") {
		w.Errorf("%q does not say which event is invalid", err)
	}
	w.none("after an invalid batch", stream("1"))
	w.refused("a batch that expects another version", "1", es.Exactly(3), es.ErrConflict, events...)
	w.none("after a conflict", stream("1"))
	w.append("2", es.NoStream, events[4])
	w.refused("a batch whose last id is used", "1", es.NoStream, es.ErrDuplicateID, events...)
	w.none("after a used id", stream("1"))
	if got := w.read("2", 1); len(got) != 1 {
		w.Errorf("the other stream has %d events, want 1", len(got))
	}
}

// nothingIsShared: changing what was given or got changes nothing in the store.
func nothingIsShared(w *world) {
	event := data(1)[0]
	event.Data = []byte(`{"a": 1}`)
	event.Metadata.Extra = map[string]string{"tenant": "ann"}
	spoil := func(e *es.RecordedEvent) {
		e.Data[2] = 'z'
		e.Metadata.Extra["tenant"] = "spoilt"
	}
	recorded := w.append("1", es.NoStream, event)
	spoil(&recorded[0])
	copy(event.Data, `{"given"`)
	event.Metadata.Extra["tenant"] = "given"
	check := func(after string) []es.RecordedEvent {
		w.Helper()
		got := w.read("1", 1)
		if string(got[0].Data) != `{"a": 1}` || got[0].Metadata.Extra["tenant"] != "ann" {
			w.Fatalf("after a change of %s the store has %q, %v", after, got[0].Data, got[0].Metadata.Extra)
		}
		return got
	}
	got := check("what was appended")
	spoil(&got[0])
	check("what was read")
	if w.log != nil {
		logged := w.logAll(10)
		spoil(&logged[0])
		check("what was read from the log")
	}
}

func cancelled(w *world) {
	w.append("kept", es.NoStream, data(3)...)
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	if _, err := w.store.Append(ctx, stream("1"), es.NoStream, data(1)...); !errors.Is(err, context.Canceled) {
		w.Errorf("append: got %v, want context.Canceled", err)
	}
	w.none("after a cancelled append", stream("1"))
	if list, err := collect(ctx, w.store, stream("kept"), 1); !errors.Is(err, context.Canceled) || len(list) > 0 {
		w.Errorf("read: got %d events and %v, want context.Canceled", len(list), err)
	}
	if _, err := w.store.Settle(ctx, time.Time{}); !errors.Is(err, context.Canceled) {
		w.Errorf("settle: got %v, want context.Canceled", err)
	}
	if w.log != nil {
		if _, err := w.log.Read(ctx, 0, 10); !errors.Is(err, context.Canceled) {
			w.Errorf("read the log: got %v, want context.Canceled", err)
		}
	}
}
