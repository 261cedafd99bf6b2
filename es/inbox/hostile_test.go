package inbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/inbox"
	"github.com/asof-dev/asof/es/kafka"
	"github.com/asof-dev/asof/es/pgstore"
)

// What looks like an event is reacted to, whatever its headers say that no database
// stores: it does not hold the reaction up.
func TestEvent_with_headers_that_cannot_be_stored_is_reacted_to_once(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	box := inbox.New(w.store, "reserve")
	for _, name := range []string{"ce_source", "ce_correlationid", "ce_causationid", "ce_traceparent", "ce_tracestate", "ce_user", "ce_notanextensionnameatall", "traceparent"} {
		for _, value := range []string{"\x00", "a\x00b", "\xff\xfe", "line\nline", "\u0085", strings.Repeat("x", 5000), strings.Repeat("x", 26<<10), strings.Repeat("<", 40<<10), ""} {
			before := w.number(`select count(*) from asof.events`)
			m := delivered("/orders", placed("1", 1, 1))
			m.Metadata[name] = value
			for range 2 {
				if err := box.Handle(appendAll)(m); err != nil {
					t.Errorf("%s: %.10q: %v", name, value, err)
				}
			}
			if n := w.number(`select count(*) from asof.events`); n != before+1 {
				t.Errorf("%s: %.10q: %d events were appended for one message", name, value, n-before)
			}
		}
	}
	if c := box.Counts(); c.Reacted != c.Repeated || c.Foreign+c.Broken+c.Skipped+c.Late != 0 {
		t.Errorf("%+v", c)
	}
}

// appendAll appends with all that it can take over from the event, and adds to it.
func appendAll(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error {
	data := reserved(es.WithMetadata(ctx, es.Metadata{Extra: map[string]string{"note": strings.Repeat("n", 8<<10)}}))
	if _, err := tx.Append(ctx, es.StreamID{Category: "stock", ID: e.Stream.ID}, es.Any, data); err != nil {
		return err
	}
	copied := reserved(ctx)
	copied.Metadata = e.Metadata
	return es.ValidateAppend(e.Stream, es.Any, []es.EventData{copied})
}

// What a store accepts is taken over as it is.
func TestMetadata_that_can_be_stored_is_taken_over(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := placed("1", 1, 1)
	e.Metadata = es.Metadata{
		CorrelationID: "Größe <" + strings.Repeat("c", 2000), CausationID: "command", TraceParent: "00-1-2-01", TraceState: "a=" + strings.Repeat("b", 500),
		Extra: map[string]string{"user": "ann"},
	}
	m := delivered("/orders", e)
	err := inbox.New(w.store, "reserve").Handle(func(ctx context.Context, got es.RecordedEvent, _ *pgstore.Tx) error {
		m, want := es.MetadataFrom(ctx), e.Metadata
		if m.CorrelationID != want.CorrelationID || m.CausationID != e.ID.String() || m.TraceParent != want.TraceParent || m.TraceState != want.TraceState || len(m.Extra) > 0 {
			t.Errorf("what follows gets %+v", m)
		}
		if got.Metadata.CausationID != "command" || got.Metadata.Extra["user"] != "ann" {
			t.Errorf("the event has %+v", got.Metadata)
		}
		return nil
	})(m)
	if err != nil {
		t.Error(err)
	}
}

// What cannot be stored is left out alone, and what says nothing without it.
func TestMetadata_that_cannot_be_stored_takes_nothing_else_along(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := placed("1", 1, 1)
	e.Metadata = es.Metadata{CorrelationID: "request-1", TraceParent: "00-\x00-2-01", TraceState: "a=1", Extra: map[string]string{"user": "a\x00nn", "tenant": "t-1"}}
	err := inbox.New(w.store, "reserve").Handle(func(ctx context.Context, got es.RecordedEvent, _ *pgstore.Tx) error {
		want := es.Metadata{CorrelationID: "request-1", Extra: map[string]string{"tenant": "t-1"}}
		if d := cmp.Diff(want, got.Metadata); d != "" {
			t.Errorf("the event has (-want +got):\n%s", d)
		}
		want = es.Metadata{CorrelationID: "request-1", CausationID: e.ID.String()}
		if d := cmp.Diff(want, es.MetadataFrom(ctx)); d != "" {
			t.Errorf("what follows gets (-want +got):\n%s", d)
		}
		return nil
	})(delivered("/orders", e))
	if err != nil {
		t.Error(err)
	}
}

// Of whatever headers: a message is reacted to once, or is another system's, or is
// broken and says so. Nothing else fails, since that would be for ever.
func TestHeaders_of_any_kind_hold_nothing_up(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{
		"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_category", "ce_subject", "ce_time", "ce_version", "ce_position", "ce_schema", "ce_correlationid", "ce_causationid",
		"ce_traceparent", "ce_tracestate", "ce_life", "ce_x", "ce_", "traceparent", "content-type", "\x00",
	}
	hostile := rapid.OneOf(
		rapid.SampledFrom([]string{"", "\x00", "\xff", "0", "-1", "1", "1.0", "x", strings.Repeat("y", 3000), strings.Repeat("\"", 40<<10), es.NewID().String()}),
		rapid.String(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(r *rapid.T) {
		m := delivered("/orders", placed("1", 1, 1), kafka.LifeHeader(es.NewID()))
		m.Metadata["ce_source"] = rapid.SampledFrom([]string{"/orders", "\x00"}).Draw(r, "source") + es.NewID().String() // each of a life of its own
		for range rapid.IntRange(0, 4).Draw(r, "changes") {
			name := rapid.SampledFrom(names).Draw(r, "name")
			if rapid.Bool().Draw(r, "gone") {
				delete(m.Metadata, name)
			} else {
				m.Metadata[name] = hostile.Draw(r, name)
			}
		}
		m.UUID = hostile.Draw(r, "uuid")
		box := inbox.New(w.store, es.NewID().String()) // a consumer of its own, so of a life of its own
		calls := 0
		handle := box.Handle(func(ctx context.Context, e es.RecordedEvent, tx *pgstore.Tx) error {
			calls++
			return appendAll(ctx, e, tx)
		})
		first, second := handle(m), handle(m)
		c := box.Counts()
		switch {
		case errors.Is(first, inbox.ErrBroken) && errors.Is(second, inbox.ErrBroken) && c == inbox.Counts{Broken: 2} && calls == 0:
		case first != nil || second != nil:
			r.Fatalf("%v, %v", first, second)
		case c == inbox.Counts{Foreign: 2} && calls == 0, c == inbox.Counts{Reacted: 1, Repeated: 1} && calls == 1:
		default:
			r.Fatalf("%+v, %d calls", c, calls)
		}
		anybody := inbox.New(w.store, es.NewID().String())
		calls = 0
		any := anybody.HandleAny(func(ctx context.Context, _ *message.Message, tx *pgstore.Tx) error {
			calls++
			return reserve(ctx, tx)
		})
		first, second = any(m), any(m)
		if broken := errors.Is(first, inbox.ErrBroken) && errors.Is(second, inbox.ErrBroken); !broken && (first != nil || second != nil || calls != 1) {
			r.Fatalf("of anybody: %v, %v, %d calls", first, second, calls)
		}
	})
}
