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
