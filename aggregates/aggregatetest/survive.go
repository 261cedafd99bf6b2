package aggregatetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/asof-dev/asof/aggregates"
	"github.com/asof-dev/asof/es"
)

// survive returns the events as they would be read back from a store, and fails
// the test when one would be refused or would come back as another.
func survive[S any, E es.Event](t testing.TB, d aggregates.Decider[S, E], events []E) []E {
	t.Helper()
	stream := tested(d)
	back := make([]E, 0, len(events))
	for i, event := range events {
		data, err := d.Codec.Encode(t.Context(), stream, event)
		if err != nil {
			t.Fatalf("aggregatetest: event %d cannot be encoded: %v", i+1, err)
		}
		if err := es.ValidateAppend(stream, es.Any, []es.EventData{data}); err != nil {
			t.Fatalf("aggregatetest: event %d would be refused by a store: %v", i+1, err)
		}
		read, err := d.Codec.Decode(t.Context(), nil, es.RecordedEvent{
			Recorded: es.Recorded{
				ID: data.ID, Type: data.Type, Schema: max(data.Schema, 1), Stream: stream,
				Version: es.Version(i + 1), Metadata: data.Metadata,
			},
			ContentType: data.ContentType, Data: data.Data,
		})
		if err != nil {
			t.Fatalf("aggregatetest: event %d cannot be decoded again: %v", i+1, err)
		}
		if len(read) != 1 {
			t.Fatalf("aggregatetest: event %d, %s, is %d events when it is read back: an upcaster takes what the codec writes", i+1, event.EventType(), len(read))
		}
		if difference := diff(event, read[0]); difference != "" {
			t.Errorf("aggregatetest: event %d, %s, does not survive its codec (-appended +read back):\n%s", i+1, event.EventType(), difference)
		}
		back = append(back, read[0])
	}
	return back
}

func tested[S any, E es.Event](d aggregates.Decider[S, E]) es.StreamID {
	return es.StreamID{Category: d.Category, ID: "tested"}
}

// diff is empty when both are equal, unexported fields included.
func diff[T any](want, got T) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true }))
}

func list[E es.Event](events []E) string {
	if len(events) == 0 {
		return "  nothing"
	}
	var b strings.Builder
	for _, event := range events {
		fmt.Fprintf(&b, "  %s %+v\n", event.EventType(), event)
	}
	return b.String()
}
