package kafka_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/kafka"
)

// event is an event of the kind that a store accepts.
func event(t *rapid.T) es.RecordedEvent {
	text := rapid.StringMatching(`[ -~äöü€𝛑]{0,20}`)
	name := rapid.StringMatching(`[a-z][a-z0-9]{0,18}x`)
	e := es.RecordedEvent{ContentType: rapid.SampledFrom([]string{es.JSONContentType, "application/avro", "text/plain; charset=utf-8"}).Draw(t, "content type")}
	e.ID = uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	e.Type = rapid.StringMatching(`[A-Za-z0-9._:/-]{1,30}`).Draw(t, "type")
	e.Schema = rapid.IntRange(1, 1<<31-1).Draw(t, "schema")
	e.Stream = es.StreamID{Category: rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "category"), ID: rapid.StringMatching(`[ -~äöü€]{1,30}`).Draw(t, "stream")}
	e.Version = es.Version(rapid.Int64Min(1).Draw(t, "version"))
	e.Position = es.Position(rapid.Int64Min(1).Draw(t, "position"))
	e.RecordedAt = time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time")).UTC()
	e.Data = rapid.SliceOf(rapid.Byte()).Draw(t, "data")
	e.Metadata = es.Metadata{CorrelationID: text.Draw(t, "correlation"), CausationID: text.Draw(t, "causation"), TraceParent: text.Draw(t, "traceparent"), TraceState: text.Draw(t, "tracestate")}
	if extra := rapid.MapOfN(name, text, 0, 3).Draw(t, "extra"); len(extra) > 0 {
		e.Metadata.Extra = extra
	}
	return e
}

func TestToEvent_returns_what_FromEvent_was_given(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := event(t)
		m := kafka.FromEvent("/accounts", "topic", want)
		if string(m.Key) != want.Stream.ID || m.Topic != "topic" || kafka.Source(m) != "/accounts" {
			t.Fatalf("%+v", m)
		}
		got, err := kafka.ToEvent(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestToEvent_says_what_is_not_an_event(t *testing.T) {
	t.Parallel()
	whole := kafka.FromEvent("/accounts", "account", es.RecordedEvent{Recorded: es.Recorded{ID: es.NewID(), Type: "opened", Stream: es.StreamID{ID: "a"}, Version: 1}})
	for name, value := range map[string]string{
		"ce_specversion": "0.3", "ce_id": "not a uuid", "ce_time": "yesterday", "ce_version": "first", "ce_position": "1.5", "ce_schema": "x",
	} {
		m := whole
		m.Headers = append(append([]kafka.Header(nil), whole.Headers...), kafka.Header{Key: name, Value: []byte(value)})
		if _, err := kafka.ToEvent(m); !errors.Is(err, kafka.ErrNotAnEvent) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s %q: %v", name, value, err)
		}
	}
	for _, name := range []string{"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_category", "ce_subject", "ce_time", "ce_version"} {
		m := whole
		m.Headers = slices.DeleteFunc(slices.Clone(whole.Headers), func(h kafka.Header) bool { return h.Key == name })
		if _, err := kafka.ToEvent(m); !errors.Is(err, kafka.ErrNotAnEvent) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for _, headers := range [][]kafka.Header{nil, {{Key: "x"}}, whole.Headers[:4]} {
		if _, err := kafka.ToEvent(kafka.Message{Topic: "account", Headers: headers}); !errors.Is(err, kafka.ErrNotAnEvent) {
			t.Errorf("%v: %v", headers, err)
		}
	}
}

// Instrumentation of Kafka clients replaces the plain headers by the trace of the
// transport.
func TestToEvent_keeps_the_trace_of_the_event(t *testing.T) {
	t.Parallel()
	e := es.RecordedEvent{Recorded: es.Recorded{ID: es.NewID(), Type: "opened", Stream: es.StreamID{ID: "a"}, Version: 1}}
	e.Metadata.TraceParent = "of the event"
	plain := []kafka.Header{{Key: "traceparent", Value: []byte("of the transport")}, {Key: "tracestate", Value: []byte("its state")}}
	check := func(e es.RecordedEvent, want es.Metadata) {
		t.Helper()
		m := kafka.FromEvent("/accounts", "account", e)
		m.Headers = append(slices.DeleteFunc(m.Headers, func(h kafka.Header) bool { return h.Key == plain[0].Key }), plain...)
		got, err := kafka.ToEvent(m)
		if diff := cmp.Diff(want, got.Metadata); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	check(e, e.Metadata)
	e.Metadata.TraceParent = "" // then that of the transport is better than none
	check(e, es.Metadata{TraceParent: "of the transport", TraceState: "its state"})
}

// The life of a store travels beside its events and is no metadata of theirs.
func TestLife_of_a_store_travels_with_its_events(t *testing.T) {
	t.Parallel()
	life := es.NewID()
	e := es.RecordedEvent{Recorded: es.Recorded{ID: es.NewID(), Type: "order.placed", Stream: es.StreamID{Category: "order", ID: "1"}, Version: 1, Schema: 1}, Data: []byte(`{}`)}
	m := kafka.FromEvent("/orders", "order", e)
	if _, ok := kafka.Life(m); ok {
		t.Error("a message that says no life has one")
	}
	m.Headers = append(m.Headers, kafka.LifeHeader(life))
	if got, ok := kafka.Life(m); !ok || got != life {
		t.Errorf("life %s, %t: want %s", got, ok, life)
	}
	if back, err := kafka.ToEvent(m); err != nil || len(back.Metadata.Extra) != 0 {
		t.Errorf("the event has metadata %v, %v", back.Metadata.Extra, err)
	}
}
