package storetest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/asof-dev/asof/es"
)

// sameIDsAgain: an append that is made again returns what the first recorded,
// whatever has happened to the stream since.
func sameIDsAgain(w *world) {
	for _, n := range []int{1, 3} {
		for _, want := range []es.Expected{es.NoStream, es.Exactly(2), es.Any, es.StreamExists} {
			id := want.String() + string(rune('0'+n))
			if want != es.NoStream {
				w.append(id, es.NoStream, data(2)...)
			}
			events := data(n)
			first := w.append(id, want, events...)
			w.same("made again at once, "+id, first, w.append(id, want, events...))
			later := w.append(id, es.Any, data(1)...)
			w.same("made again later, "+id, first, w.append(id, want, events...))
			if got := w.read(id, 1); got[len(got)-1].ID != later[0].ID {
				w.Errorf("%s: an append that was made again has added events", id)
			}
		}
	}
}

// sameIDsConcurrent: of one append that many make at once, there is one copy.
func sameIDsConcurrent(w *world) {
	for _, want := range []es.Expected{es.NoStream, es.Any} {
		id := want.String()
		events := data(3)
		var mu sync.Mutex
		var all [][]es.RecordedEvent
		w.together(func(ctx context.Context, _ int) error {
			recorded, err := w.store.Append(ctx, stream(id), want, events...)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, recorded)
			return err
		})
		got := w.read(id, 1)
		if len(got) != len(events) {
			w.Fatalf("%s: %d copies of %d events are %d events", id, writers, len(events), len(got))
		}
		for _, recorded := range all {
			w.same(id+": every call returns the one copy", got, recorded)
		}
	}
}

func idsUsedOtherwise(w *world) {
	used := data(3)
	w.append("1", es.NoStream, used...)
	fresh := data(3)
	for what, events := range map[string][]es.EventData{
		"a part":                {used[0]},
		"another part":          {used[1], used[2]},
		"more than before":      {used[0], used[1], used[2], fresh[0]},
		"one new, then old":     {fresh[0], used[0]},
		"one old, then new":     {used[2], fresh[0]},
		"another order":         {used[1], used[0], used[2]},
		"new between the old":   {used[0], fresh[0], used[1]},
		"a hole in the old":     {used[0], used[2]},
		"only the last, as one": {used[2]},
	} {
		// A part in the right order may count as made again: nothing is recorded.
		recorded, err := w.store.Append(w.Context(), stream("1"), es.Any, events...)
		if part := what == "a part" || what == "another part" || what == "only the last, as one"; part && err == nil {
			if recorded[0].ID != events[0].ID || len(recorded) != len(events) {
				w.Errorf("%s: got %v", what, recorded)
			}
		} else {
			w.refused(what, "1", es.Any, es.ErrDuplicateID, events...)
		}
		w.refused(what+", in another stream", "2", es.Any, es.ErrDuplicateID, events...)
		w.refused(what+", in a stream to begin", "2", es.NoStream, es.ErrDuplicateID, events...)
	}
	w.none("after used ids", stream("2"))
	if got := w.read("1", 1); len(got) != 3 {
		w.Errorf("the stream has %d events, want 3", len(got))
	}
	w.refused("an id twice in one append", "3", es.NoStream, es.ErrInvalid, fresh[0], fresh[0])
	w.append("1", es.Exactly(3), fresh...) // and none of them was used up
}

// sameIDsOtherBody: an id that is known says another event when type, schema, content
// type or payload differ. Metadata may differ, and what was recorded is returned.
func sameIDsOtherBody(w *world) {
	for _, n := range []int{1, 3} {
		id := string(rune('0' + n))
		events := data(n)
		first := w.append(id, es.NoStream, events...)
		change := func(f func(*es.EventData)) []es.EventData {
			changed := slices.Clone(events)
			f(&changed[n-1])
			return changed
		}
		for what, other := range map[string][]es.EventData{
			"type":         change(func(e *es.EventData) { e.Type += "2" }),
			"schema":       change(func(e *es.EventData) { e.Schema = 7 }),
			"content type": change(func(e *es.EventData) { e.ContentType = "text/plain" }),
			"payload":      change(func(e *es.EventData) { e.Data = []byte(`{"other":true}`) }),
		} {
			for _, want := range []es.Expected{es.NoStream, es.Any, es.StreamExists, es.Exactly(es.Version(n))} {
				err := w.refusal("another "+what, stream(id), want, es.ErrDuplicateID, other...)
				if err != nil && !strings.Contains(err.Error(), what) {
					w.Errorf("another %s: %q does not say so", what, err)
				}
			}
		}
		again := change(func(e *es.EventData) { e.Metadata = es.Metadata{CorrelationID: "another request"} })
		w.same("with other metadata", first, w.append(id, es.NoStream, again...))
		if got := w.read(id, 1); len(got) != n {
			w.Errorf("the stream has %d events, want %d", len(got), n)
		}
	}
}
