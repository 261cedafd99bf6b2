package pgstore_test

import (
	"bytes"
	"testing"

	"github.com/asof-dev/asof/es"
)

// A page of large events is cut short, and the next one goes on behind it.
func TestRead_bounds_the_bytes_of_a_page(t *testing.T) {
	t.Parallel()
	store := open(t)
	const total = 40
	large := bytes.Repeat([]byte("x"), es.MaxData)
	for range total {
		_, err := store.Append(t.Context(), stream("large"), es.Any, es.EventData{ID: es.NewID(), Type: "x", ContentType: "text/plain", Data: large})
		must(t, err)
	}
	var cursor es.Position
	read, pages := 0, 0
	for {
		events, err := store.Read(t.Context(), cursor, 1000)
		must(t, err)
		if len(events) == 0 {
			break
		}
		if len(events) > 10 { // 8 MiB, and the event that fills them
			t.Errorf("a page has %d events of %d bytes", len(events), es.MaxData)
		}
		for _, e := range events {
			if read++; e.Version != es.Version(read) {
				t.Fatalf("version %d is event %d of the log", e.Version, read)
			}
			cursor = e.Position
		}
		pages++
	}
	if read != total || pages > 6 {
		t.Fatalf("%d events in %d pages", read, pages)
	}
}

// An event larger than a page, which came by other means than an append, is a page of its
// own, and no end of the log.
func TestRead_goes_on_behind_an_event_larger_than_a_page(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := t.Context()
	must(t, exec(ctx, store.Pool(), `
		insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
		select nextval('asof.events_position'), 'test', 'large', 1, gen_random_uuid(), 't', 1, 'text/plain', convert_to(repeat('x', 9 << 20), 'UTF8'), '', now()`))
	last := appendEach(ctx, t, store, "large", 2)
	var read []es.Position
	for {
		var after es.Position
		if n := len(read); n > 0 {
			after = read[n-1]
		}
		events, err := store.Read(ctx, after, 10)
		must(t, err)
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			read = append(read, e.Position)
		}
	}
	if len(read) != 3 || read[2] != last.Position {
		t.Errorf("the log is read at %d, and ends at %d", read, last.Position)
	}
	n := 0
	for e, err := range store.ReadStream(ctx, stream("large"), 1) {
		must(t, err)
		if n++; int(e.Version) != n {
			t.Errorf("version %d is event %d of the stream", e.Version, n)
		}
	}
	if n != 3 {
		t.Errorf("the stream has %d events", n)
	}
}
