package es_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/asof-dev/asof/es"
)

func TestMetadata_comes_back(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.String()
		want := es.Metadata{
			CorrelationID: text.Draw(r, "correlation"), CausationID: text.Draw(r, "causation"),
			TraceParent: text.Draw(r, "traceparent"), TraceState: text.Draw(r, "tracestate"),
			Extra: rapid.MapOf(rapid.StringMatching(`[a-z0-9]{1,20}`), text).Draw(r, "extra"),
		}
		stored, err := want.MarshalBinary()
		if err != nil {
			r.Fatal(err)
		}
		if want.IsZero() != (len(stored) == 0) {
			r.Fatalf("%+v is stored as %q", want, stored)
		}
		got := es.Metadata{CorrelationID: "left over"}
		if err := got.UnmarshalBinary(stored); err != nil {
			r.Fatal(err)
		}
		if len(stored) > 0 && want.CorrelationID == "" {
			got.CorrelationID = ""
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			r.Fatal(d)
		}
	})
}

func TestMetadata_or(t *testing.T) {
	t.Parallel()
	outer := es.Metadata{CorrelationID: "c", CausationID: "outer", TraceParent: "tp", TraceState: "ts", Extra: map[string]string{"a": "1", "b": "1"}}
	for _, c := range []struct{ m, want es.Metadata }{
		{es.Metadata{}, outer},
		{es.Metadata{CausationID: "inner"}, es.Metadata{CorrelationID: "c", CausationID: "inner", TraceParent: "tp", TraceState: "ts", Extra: outer.Extra}},
		{ // a trace state of another trace is not mixed in
			es.Metadata{TraceParent: "inner"},
			es.Metadata{CorrelationID: "c", CausationID: "outer", TraceParent: "inner", Extra: outer.Extra},
		},
		{
			es.Metadata{Extra: map[string]string{"b": "2", "c": "2"}},
			es.Metadata{CorrelationID: "c", CausationID: "outer", TraceParent: "tp", TraceState: "ts", Extra: map[string]string{"a": "1", "b": "2", "c": "2"}},
		},
	} {
		if d := cmp.Diff(c.want, c.m.Or(outer)); d != "" {
			t.Errorf("%+v (-want +got):\n%s", c.m, d)
		}
	}
	if d := cmp.Diff(map[string]string{"a": "1", "b": "1"}, outer.Extra); d != "" {
		t.Errorf("Or has changed its argument:\n%s", d)
	}
}

func TestMetadata_in_context(t *testing.T) {
	t.Parallel()
	if got := es.MetadataFrom(t.Context()); !got.IsZero() {
		t.Errorf("an empty context carries %+v", got)
	}
	ctx := es.WithMetadata(t.Context(), es.Metadata{CorrelationID: "c", CausationID: "1"})
	inner := es.WithMetadata(ctx, es.Metadata{CausationID: "2"})
	if got := es.MetadataFrom(inner); got.CorrelationID != "c" || got.CausationID != "2" {
		t.Errorf("inner: %+v", got)
	}
	if got := es.MetadataFrom(ctx); got.CausationID != "1" {
		t.Errorf("outer: %+v", got)
	}
}

func ExampleWithMetadata() {
	ctx := es.WithMetadata(context.Background(), es.Metadata{CorrelationID: "request-17"})
	ctx = es.WithMetadata(ctx, es.Metadata{CausationID: "order.placed-3"}) // adds to it
	m := es.MetadataFrom(ctx)
	fmt.Println(m.CorrelationID, m.CausationID)
	// Output: request-17 order.placed-3
}
