package inbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// foreign is a CloudEvent of another system.
func foreign(topic, source, id, eventType string) *message.Message {
	m := message.NewMessage(id, []byte(`{"n": 1}`))
	m.Metadata = message.Metadata{
		"ce_specversion": "1.0", "ce_id": id, "ce_source": source, "ce_type": eventType,
		kafka.MetadataTopic: topic, kafka.MetadataPartition: "2", kafka.MetadataOffset: "41",
	}
	return m
}

func logger() (*slog.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	return slog.New(slog.NewTextHandler(&text, nil)), &text
}

func TestMessages_of_other_systems_leave_a_trace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := message.NewMessage("", []byte("hello"))
	plain.Metadata = message.Metadata{kafka.MetadataTopic: "order", kafka.MetadataPartition: "0", kafka.MetadataOffset: "1"}
	versioned := foreign("order", "/shop", "8f6d6d0e-1111-4222-8333-444455556666", "order.placed")
	versioned.Metadata["ce_version"] = "two" // an attribute of its own
	unnamed := delivered("/orders", placed("1", 1, 1))
	for _, name := range []string{"ce_category", "ce_subject", "ce_version", "ce_position", "ce_schema"} {
		delete(unnamed.Metadata, name)
	}
	for what, c := range map[string]struct {
		message *message.Message
		says    []string
	}{
		"no CloudEvent":           {plain, []string{"no CloudEvent", "topic=order", "offset=1"}},
		"id is no UUID":           {foreign("order", "/shop", "eu/1", "order.placed"), []string{"CloudEvent of another system", "source=/shop", "type=order.placed", "offset=41", "HandleAny"}},
		"a version of its own":    {versioned, []string{"CloudEvent of another system", "source=/shop"}},
		"without Asof's headers":  {unnamed, []string{"CloudEvent of another system", "source=/orders"}},
		"of a type that is named": {foreign("order", "/shop", "2", "order.placed"), []string{"type=order.placed"}},
		"of a type that is not":   {foreign("order", "/shop", "3", "shop.opened"), []string{"type=shop.opened"}},
		"no store's stream id":    {delivered("/shop", placed(strings.Repeat("9", es.MaxID+1), 1, 1)), []string{"no store records", "256"}},
	} {
		log, text := logger()
		box := inbox.New(w.store, "reserve", inbox.WithTypes("order.placed"), inbox.WithLogger(log))
		handle := box.Handle(reserveFor)
		for range 3 {
			if err := handle(c.message); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if c := box.Counts(); c != (inbox.Counts{Foreign: 3}) {
			t.Errorf("%s: %+v", what, c)
		}
		if n := strings.Count(text.String(), "level=WARN"); n != 1 {
			t.Errorf("%s: %d warnings, want one:\n%s", what, n, text)
		}
		for _, part := range append(c.says, "consumer=reserve") {
			if !strings.Contains(text.String(), part) {
				t.Errorf("%s: the log does not say %q:\n%s", what, part, text)
			}
		}
	}
	w.want(0, 0)
}

// One warning for each topic and kind, however many kinds others make up.
func TestMessages_of_other_systems_do_not_flood_the_log(t *testing.T) {
	t.Parallel()
	log, text := logger()
	box := inbox.New(newWorld(t).store, "reserve", inbox.WithLogger(log))
	handle := box.Handle(reserveFor)
	for _, topic := range []string{"order", "stock", "order"} {
		for _, eventType := range []string{"a", "b", "a"} {
			if err := handle(foreign(topic, "/shop", "1", eventType)); err != nil {
				t.Error(err)
			}
		}
	}
	if n := strings.Count(text.String(), "level=WARN"); n != 4 {
		t.Errorf("%d warnings, want one for each of two types in two topics:\n%s", n, text)
	}
	text.Reset()
	for n := range 3000 {
		if err := handle(foreign("order", "/shop", "1", fmt.Sprint("type", n))); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(text.String(), "level=WARN"); n > 1000 {
		t.Errorf("%d warnings", n)
	}
	if c := box.Counts(); c.Foreign != 3009 {
		t.Errorf("%+v", c)
	}
}

// An event of Asof's that cannot be read may be one that the reaction is for.
func TestBroken_event_is_not_acknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	life := kafka.LifeHeader(es.NewID())
	for header, values := range map[string][]string{
		"ce_version": {"two", "", "1.5", "99999999999999999999"}, "ce_position": {"x"}, "ce_schema": {"one"}, "ce_time": {"yesterday"},
		"ce_id": {"1"}, "ce_specversion": {"2.0"}, "ce_life": {"nine", ""},
		"-ce_category": {""}, "-ce_subject": {""}, "-ce_version": {""}, "-ce_time": {""}, "-ce_type": {""},
	} {
		for _, value := range values {
			log, text := logger()
			box := inbox.New(w.store, "reserve", inbox.WithLogger(log))
			m := delivered("/orders", placed("1", 1, 1), life)
			if name, without := strings.CutPrefix(header, "-"); without {
				delete(m.Metadata, name)
			} else {
				m.Metadata[header] = value
			}
			for range 2 {
				if err := box.Handle(reserveFor)(m); !errors.Is(err, inbox.ErrBroken) || !strings.Contains(err.Error(), strings.TrimPrefix(header, "-")) {
					t.Errorf("%s: %q: got %v, want an ErrBroken that names the header", header, value, err)
				}
			}
			if c := box.Counts(); c != (inbox.Counts{Broken: 2}) || strings.Count(text.String(), "level=ERROR") != 1 {
				t.Errorf("%s: %q: %+v\n%s", header, value, c, text)
			}
		}
	}
	// Of a type that is left out, it is not for the reaction whatever else it is.
	box := inbox.New(w.store, "reserve", inbox.WithTypes("order.paid"))
	m := delivered("/orders", placed("1", 1, 1))
	m.Metadata["ce_version"] = "two"
	if err := box.Handle(reserveFor)(m); err != nil || box.Counts() != (inbox.Counts{Skipped: 1}) {
		t.Errorf("%v, %+v", err, box.Counts())
	}
	w.want(0, 0)
}

func TestEvents_of_types_left_out_are_skipped_in_silence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log, text := logger()
	box := inbox.New(w.store, "reserve", inbox.WithTypes("order.paid", "order.shipped"), inbox.WithLogger(log))
	if err := box.Handle(reserveFor)(delivered("/orders", placed("1", 1, 1))); err != nil {
		t.Error(err)
	}
	if err := box.HandleAny(func(ctx context.Context, _ *message.Message, tx *pgstore.Tx) error { return reserve(ctx, tx) })(foreign("order", "/shop", "1", "shop.opened")); err != nil {
		t.Error(err)
	}
	if c := box.Counts(); c != (inbox.Counts{Skipped: 2}) || text.Len() > 0 {
		t.Errorf("%+v\n%s", c, text)
	}
	w.want(0, 0)
}

func TestHandleAny_reacts_once_to_messages_of_anybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	box := inbox.New(w.store, "reserve")
	var seen []string
	handle := box.HandleAny(func(ctx context.Context, m *message.Message, tx *pgstore.Tx) error {
		seen = append(seen, string(m.Payload))
		return reserve(ctx, tx)
	})
	traced := foreign("order", "/shop", "eu/1", "order.placed")
	traced.Metadata["ce_correlationid"], traced.Metadata["traceparent"], traced.Metadata["tracestate"] = "request-1", "00-1-2-01", "a=1"
	plain := message.NewMessage("", []byte("hello"))
	plain.Metadata = message.Metadata{kafka.MetadataTopic: "order", kafka.MetadataPartition: "0", kafka.MetadataOffset: "1"}
	event := placed("1", 1, 1)
	for range 2 {
		for _, m := range []*message.Message{traced, plain, delivered("/orders", event)} {
			if err := handle(m); err != nil {
				t.Error(err)
			}
		}
	}
	if c := box.Counts(); c != (inbox.Counts{Reacted: 3, Repeated: 3}) || len(seen) != 3 {
		t.Errorf("%+v, %q", c, seen)
	}
	w.want(3, 3)
	want := []es.Metadata{
		{CorrelationID: "request-1", CausationID: kafka.MessageID(traced), TraceParent: "00-1-2-01", TraceState: "a=1"},
		{CorrelationID: kafka.MessageID(plain), CausationID: kafka.MessageID(plain)},
		{CorrelationID: event.ID.String(), CausationID: event.ID.String()},
	}
	n := 0
	for e, err := range w.store.ReadStream(t.Context(), stock(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Metadata; got.CorrelationID != want[n].CorrelationID || got.CausationID != want[n].CausationID || got.TraceParent != want[n].TraceParent || got.TraceState != want[n].TraceState {
			t.Errorf("message %d: %+v, want %+v", n+1, got, want[n])
		}
		n++
	}
	if err := handle(message.NewMessage("", []byte("from nowhere"))); !errors.Is(err, es.ErrInvalid) {
		t.Errorf("what nothing tells from others: %v", err)
	}
}
