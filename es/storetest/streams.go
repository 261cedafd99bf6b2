package storetest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/asof-dev/asof/es"
)

func missingStream(w *world) {
	w.append("1", es.NoStream, data(2)...)
	for _, from := range []es.Version{-1, 0, 1, 2, 100} {
		list, err := collect(w.Context(), w.store, stream("none"), from)
		if !errors.Is(err, es.ErrStreamNotFound) || len(list) > 0 {
			w.Errorf("from %d: got %d events and %v, want ErrStreamNotFound", from, len(list), err)
		} else if !strings.Contains(err.Error(), "storetest/none") {
			w.Errorf("%q does not name the stream", err)
		}
	}
	if list := w.read("1", 3); len(list) > 0 { // past the end of a stream that exists: no error
		w.Errorf("got %d events from past the end", len(list))
	}
}

func readFrom(w *world) {
	recorded := w.append("1", es.NoStream, data(5)...)
	for from, want := range map[es.Version]int{-5: 0, 0: 0, 1: 0, 2: 1, 5: 4, 6: 5, 100: 5} {
		w.same("read from a version", recorded[want:], w.read("1", from))
	}
}

// readPages reads a stream that is longer than what a store reads at once.
func readPages(w *world) {
	var all []es.RecordedEvent
	for _, n := range []int{1000, 1000, 1, 499} {
		all = append(all, w.append("1", es.Exactly(es.Version(len(all))), data(n)...)...)
	}
	got := w.read("1", 1)
	w.ordered(got)
	w.same("the whole stream", all, got)
	w.same("a full page from the end", all[1500:], w.read("1", 1501))
}

// readEndsEarly: a loop that breaks leaves the store usable, also within itself.
func readEndsEarly(w *world) {
	w.append("1", es.NoStream, data(1000)...)
	w.append("1", es.Any, data(200)...)
	seen := 0
	for range 50 { // more often than a pool has connections
		for e, err := range w.store.ReadStream(w.Context(), stream("1"), 1) {
			if err != nil {
				w.Fatal(err)
			}
			if seen++; e.Version == 3 {
				break
			}
		}
	}
	if seen != 150 {
		w.Errorf("the loops saw %d events, want 150", seen)
	}
	for e, err := range w.store.ReadStream(w.Context(), stream("1"), 1199) {
		if err != nil {
			w.Fatal(err)
		}
		w.append("copy", es.Exactly(e.Version-1199), data(1)...)
		if e.Version > 1300 {
			w.Fatal("the loop does not end")
		}
	}
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	var last error
	n := 0
	for _, err := range w.store.ReadStream(ctx, stream("1"), 1) {
		if last = err; err == nil {
			n++
			cancel() // a store may go on to the end of what it has read at once
		}
	}
	if n > 1000 || !errors.Is(last, context.Canceled) {
		w.Errorf("a loop whose context ended saw %d events and %v", n, last)
	}
}

// streamsAreApart: names that are close to each other are not mixed up.
func streamsAreApart(w *world) {
	names := []es.StreamID{
		{Category: "a", ID: "b/c"}, {Category: "a", ID: "b"}, {Category: "a-b", ID: "c"}, {Category: "A", ID: "b"},
		{Category: "a", ID: "B"}, {Category: "a", ID: "b "}, {Category: "a", ID: " b"}, {Category: "a", ID: "ö"}, {Category: "a", ID: "o\u0308"},
	}
	for _, s := range names {
		if _, err := w.store.Append(w.Context(), s, es.NoStream, data(2)...); err != nil {
			w.Errorf("%s is not a stream of its own: %v", s, err)
		}
	}
	for _, s := range names {
		list, err := collect(w.Context(), w.store, s, 1)
		if err != nil || len(list) != 2 || list[0].Stream != s {
			w.Errorf("%s: got %v, %v", s, list, err)
		}
	}
}

func settleMoments(w *world) {
	if head, err := w.store.Settle(w.Context(), time.Time{}); err != nil || head != 0 {
		w.Errorf("an empty store is settled up to %d, %v: want 0", head, err)
	}
	first := w.append("1", es.NoStream, data(2)...)
	last := first[1]
	if head, err := w.store.Settle(w.Context(), time.Time{}); err != nil || head < last.Position {
		w.Errorf("settled up to %d, %v: want at least %d, which was returned", head, err, last.Position)
	}
	if _, err := w.store.Settle(w.Context(), last.RecordedAt.Add(time.Hour)); !errors.Is(err, es.ErrNotSettled) {
		w.Errorf("settle in an hour's time: got %v, want ErrNotSettled", err)
	}
	if head, err := w.store.Settle(w.Context(), last.RecordedAt.Add(-time.Hour)); err != nil || head < last.Position {
		w.Errorf("settle an hour ago: got %d, %v", head, err)
	}
	// What is recorded after a moment was settled is later than it.
	for range 20 {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		head, err := w.store.Settle(ctx, last.RecordedAt)
		for errors.Is(err, es.ErrNotSettled) && ctx.Err() == nil { // its microsecond is not over
			head, err = w.store.Settle(ctx, last.RecordedAt)
		}
		cancel()
		if err != nil || head < last.Position {
			w.Fatalf("settle at %s: got %d, %v", last.RecordedAt, head, err)
		}
		next := w.append("2", es.Any, data(1)...)[0]
		if !next.RecordedAt.After(last.RecordedAt) || next.Position <= head {
			w.Fatalf("after %s and position %d were settled, an event was recorded at %s, position %d", last.RecordedAt, head, next.RecordedAt, next.Position)
		}
		last = next
	}
}

func settlePositions(w *world) {
	if err := w.store.SettleTo(w.Context(), 0); err != nil {
		w.Errorf("the beginning of an empty store: %v", err)
	}
	if err := w.store.SettleTo(w.Context(), 1); !errors.Is(err, es.ErrNotSettled) {
		w.Errorf("position 1 of an empty store: got %v, want ErrNotSettled", err)
	}
	last := w.append("1", es.NoStream, data(3)...)[2]
	for p := range last.Position + 1 {
		if err := w.store.SettleTo(w.Context(), p); err != nil {
			w.Errorf("position %d of %d: %v", p, last.Position, err)
		}
	}
	if err := w.store.SettleTo(w.Context(), last.Position+1); !errors.Is(err, es.ErrNotSettled) {
		w.Errorf("a position past the end: got %v, want ErrNotSettled", err)
	}
}

// collidingCategories: Kafka takes . and _ of a topic's name for one, so a store has one
// of the categories that differ in nothing else.
func collidingCategories(w *world) {
	for _, s := range []es.StreamID{{Category: "a.b_c", ID: "1"}, {Category: "a-b-c", ID: "1"}, {Category: "A.b_c", ID: "1"}} {
		if _, err := w.store.Append(w.Context(), s, es.NoStream, data(1)...); err != nil {
			w.Errorf("%s: %v", s, err)
		}
	}
	for _, category := range []string{"a_b_c", "a.b.c", "a_b.c"} {
		s := es.StreamID{Category: category, ID: "1"}
		if err := w.refusal(category+" beside a.b_c", s, es.NoStream, es.ErrInvalid, data(1)...); err != nil && !strings.Contains(err.Error(), "a.b_c") {
			w.Errorf("%q does not name the other category", err)
		}
		w.none("after the refusal", s)
	}
	for _, category := range []string{"__consumer_offsets", "__transaction_state", "__x"} {
		_ = w.refusal("a topic of Kafka's own", es.StreamID{Category: category, ID: "1"}, es.NoStream, es.ErrInvalid, data(1)...)
	}
}
