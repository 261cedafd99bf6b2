package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/asof-dev/asof/es"
)

// patience bounds what must not wait for ever. It is long, as the machine may be
// busy.
const patience = 2 * time.Minute

// world is one test's store.
type world struct {
	*testing.T
	store es.Store
	log   es.Log
}

func stream(id string) es.StreamID { return es.StreamID{Category: "storetest", ID: id} }

// data returns n events that are valid and differ.
func data(n int) []es.EventData {
	list := make([]es.EventData, n)
	for i := range list {
		list[i] = es.EventData{ID: es.NewID(), Type: "storetest.happened", Data: fmt.Appendf(nil, `{"n": %d}`, i)}
	}
	return list
}

func (w *world) append(id string, want es.Expected, events ...es.EventData) []es.RecordedEvent {
	w.Helper()
	recorded, err := w.store.Append(w.Context(), stream(id), want, events...)
	if err != nil {
		w.Fatalf("append to %s expecting %s: %v", stream(id), want, err)
	}
	if len(recorded) != len(events) {
		w.Fatalf("append of %d events returned %d", len(events), len(recorded))
	}
	return recorded
}

// refused appends and wants an error that matches.
func (w *world) refused(what, id string, want es.Expected, matches error, events ...es.EventData) {
	w.Helper()
	_ = w.refusal(what, stream(id), want, matches, events...)
}

// refusal is refused, and returns the error.
func (w *world) refusal(what string, s es.StreamID, want es.Expected, matches error, events ...es.EventData) error {
	w.Helper()
	recorded, err := w.store.Append(w.Context(), s, want, events...)
	if !errors.Is(err, matches) {
		w.Errorf("%s: got error %v, want one that matches %q", what, err, matches)
	}
	if len(recorded) > 0 {
		w.Errorf("%s: a refused append returned %d events", what, len(recorded))
	}
	return err
}

func (w *world) read(id string, from es.Version) []es.RecordedEvent {
	w.Helper()
	list, err := collect(w.Context(), w.store, stream(id), from)
	if err != nil {
		w.Fatalf("read %s from %d: %v", stream(id), from, err)
	}
	return list
}

func collect(ctx context.Context, store es.Store, s es.StreamID, from es.Version) (list []es.RecordedEvent, err error) {
	for e, err := range store.ReadStream(ctx, s, from) {
		if err != nil {
			return list, err
		}
		list = append(list, e)
	}
	return list, nil
}

// none says that the stream has no events.
func (w *world) none(what string, s es.StreamID) {
	w.Helper()
	if list, err := collect(w.Context(), w.store, s, 1); !errors.Is(err, es.ErrStreamNotFound) {
		w.Errorf("%s: the stream has %d events, error %v: want none", what, len(list), err)
	}
}

func (w *world) same(what string, want, got []es.RecordedEvent) {
	w.Helper()
	if len(want) != len(got) {
		w.Errorf("%s: got %d events, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if !equal(want[i], got[i]) {
			w.Errorf("%s: event %d of %d (-want +got):\n%s", what, i+1, len(want), cmp.Diff(want[i], got[i], cmpopts.EquateEmpty()))
			return
		}
	}
}

func equal(a, b es.RecordedEvent) bool {
	return a.ID == b.ID && a.Type == b.Type && a.Schema == b.Schema && a.Stream == b.Stream && a.Version == b.Version &&
		a.Position == b.Position && a.RecordedAt.Equal(b.RecordedAt) && a.ContentType == b.ContentType && bytes.Equal(a.Data, b.Data) &&
		a.Metadata.CorrelationID == b.Metadata.CorrelationID && a.Metadata.CausationID == b.Metadata.CausationID &&
		a.Metadata.TraceParent == b.Metadata.TraceParent && a.Metadata.TraceState == b.Metadata.TraceState &&
		maps.Equal(a.Metadata.Extra, b.Metadata.Extra)
}

// ordered checks what holds between the events of one stream. It may be called by
// any goroutine.
func (w *world) ordered(events []es.RecordedEvent) {
	w.Helper()
	for i, e := range events {
		if e.Version != events[0].Version+es.Version(i) {
			w.Errorf("version %d stands at place %d after version %d: want no holes", e.Version, i, events[0].Version)
			return
		}
		if i == 0 {
			continue
		}
		if before := events[i-1]; e.Position <= before.Position {
			w.Errorf("version %d has position %d, version %d has %d: want them to ascend together", before.Version, before.Position, e.Version, e.Position)
		} else if e.RecordedAt.Before(before.RecordedAt) {
			w.Errorf("version %d was recorded at %s, before version %d at %s", e.Version, e.RecordedAt, before.Version, before.RecordedAt)
		}
	}
}

// logAll reads the log to its end.
func (w *world) logAll(limit int) (all []es.RecordedEvent) {
	w.Helper()
	if _, err := w.log.Settle(w.Context(), time.Time{}); err != nil {
		w.Fatalf("settle: %v", err)
	}
	var after es.Position
	for {
		events, err := w.log.Read(w.Context(), after, limit)
		if err != nil {
			w.Fatalf("read the log after %d: %v", after, err)
		}
		if len(events) > limit {
			w.Fatalf("a read of at most %d events returned %d", limit, len(events))
		}
		if len(events) == 0 {
			return all
		}
		if events[0].Position <= after {
			w.Fatalf("a read after position %d returned the event at %d", after, events[0].Position)
		}
		all = append(all, events...)
		after = events[len(events)-1].Position
	}
}
