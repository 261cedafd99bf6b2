package pgstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// streamed returns what a stream gives, and checks its pages.
func streamed(ctx context.Context, t *testing.T, store *pgstore.Store, after es.Checkpoint, upTo es.Position, limit int) []es.RecordedEvent {
	t.Helper()
	var all []es.RecordedEvent
	must(t, store.Stream(ctx, after, upTo, limit, func(page *pgstore.Page) error {
		if n := len(page.Events); n == 0 || n > limit {
			t.Errorf("a page of %d events of at most %d", n, limit)
		}
		all = append(all, page.Events...)
		return nil
	}))
	return all
}

// A stream is what reading gives: of any length of pages, from any place, up to any other,
// in the binary format and in text.
func TestStream_gives_what_is_read(t *testing.T) {
	t.Parallel()
	binary := pgstoretest.New(t)
	ctx := within(t, time.Minute)
	appendEach(ctx, t, binary, "1", 30)
	e := someEvents(1)[0]
	e.ContentType, e.Data, e.Schema = "text/plain", []byte("plain"), 7
	e.Metadata = es.Metadata{CorrelationID: "c"}
	_, err := binary.Append(ctx, stream("é"), es.Any, e)
	must(t, err)
	tx, _ := begun(ctx, t, binary, "gone")
	must(t, tx.Rollback(ctx)) // a hole
	last := appendEach(ctx, t, binary, "2", 30)
	want, err := binary.Read(ctx, 0, 1000)
	must(t, err)
	rest, err := binary.Read(ctx, want[len(want)-1].Position, 1000) // over the hole
	must(t, err)
	want = append(want, rest...)
	config := binary.Pool().Config()
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	defer pool.Close()
	for name, store := range map[string]*pgstore.Store{"binary": binary, "text": pgstore.New(pool)} {
		for _, limit := range []int{1, 7, 61, 1000} {
			for _, from := range []int{0, 1, 30, 60, 61} {
				after := es.Checkpoint{}
				if from > 0 {
					after = es.Checkpoint{Position: want[from-1].Position, EventID: want[from-1].ID}
				}
				for _, to := range []int{0, 30, 61} {
					upTo := es.Position(0)
					if to > 0 {
						upTo = want[to-1].Position
					}
					expected := want[min(from, to):to]
					if got := streamed(ctx, t, store, after, upTo, limit); len(got) != len(expected) || len(got) > 0 && !reflect.DeepEqual(got, expected) {
						t.Errorf("%s, pages of %d, after %d, up to %d: %d events, want %d", name, limit, from, to, len(got), len(expected))
					}
				}
			}
		}
	}
	if got := streamed(ctx, t, binary, es.Checkpoint{}, last.Position+1000, 1000); len(got) != 61 {
		t.Errorf("beyond the end: %d events", len(got))
	}
}

// What is copied of a page stays when the page is given back, and the next one has nothing of
// it.
func TestStream_uses_pages_again(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	ctx := within(t, time.Minute)
	for n := range 40 {
		e := someEvents(1)[0]
		if n%2 == 0 {
			e.ContentType, e.Data = "text/plain", fmt.Appendf(nil, "plain %02d", n)
			e.Metadata = es.Metadata{CorrelationID: "c", Extra: map[string]string{"x": "y"}}
		}
		_, err := store.Append(ctx, stream("1"), es.Any, e)
		must(t, err)
	}
	want, err := store.Read(ctx, 0, 1000)
	must(t, err)
	for _, limit := range []int{1, 3, 40} {
		var got []es.RecordedEvent
		must(t, store.Stream(ctx, es.Checkpoint{}, 40, limit, func(page *pgstore.Page) error {
			for _, e := range page.Events {
				e.Data = bytes.Clone(e.Data)
				got = append(got, e)
			}
			page.Recycle()
			return nil
		}))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("pages of %d: %d events are not the %d that are read", limit, len(got), len(want))
		}
	}
}

// A stream is of several queries, of which the first asks for little, as it does not know
// how large events are.
func TestStream_of_several_queries(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	ctx := within(t, time.Minute)
	for range 3 {
		_, err := store.Append(ctx, stream("1"), es.Any, someEvents(500)...)
		must(t, err)
	}
	got := streamed(ctx, t, pgstore.New(store.Pool()), es.Checkpoint{}, 1500, 400)
	for i := range got {
		if got[i].Position != es.Position(i+1) {
			t.Fatalf("event %d has position %d", i, got[i].Position)
		}
	}
	if len(got) != 1500 {
		t.Errorf("%d events", len(got))
	}
}

// Many large events are cut into pages by their bytes, and into several queries.
func TestStream_bounds_the_bytes_of_a_page(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t)
	ctx := within(t, time.Minute)
	large := bytes.Repeat([]byte("x"), es.MaxData)
	var last es.RecordedEvent
	for range 30 {
		recorded, err := store.Append(ctx, stream("1"), es.Any, es.EventData{ID: es.NewID(), Type: "x", ContentType: "text/plain", Data: large})
		must(t, err)
		last = recorded[0]
	}
	pages, events := 0, 0
	for range 2 { // of which the second knows how large they are
		must(t, store.Stream(ctx, es.Checkpoint{}, last.Position, 1000, func(page *pgstore.Page) error {
			pages++
			if events += len(page.Events); len(page.Events) > 10 {
				t.Errorf("a page of %d events of 1 MiB", len(page.Events))
			}
			return nil
		}))
	}
	if events != 60 || pages < 6 {
		t.Errorf("%d events in %d pages", events, pages)
	}
}

// What ends a stream is returned as it is, and its connection is given back or closed.
func TestStream_ends_with_the_error_of_its_reader(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t, pgstoretest.MaxConns(1))
	ctx := within(t, time.Minute)
	last := appendEach(ctx, t, store, "1", 50)
	enough := errors.New("enough")
	for range 3 {
		n := 0
		err := store.Stream(ctx, es.Checkpoint{}, last.Position, 10, func(*pgstore.Page) error {
			if n++; n == 2 {
				return enough
			}
			return nil
		})
		if err != enough { //nolint:errorlint // the very error
			t.Errorf("%v", err)
		}
	}
	if got := streamed(ctx, t, store, es.Checkpoint{}, last.Position, 10); len(got) != 50 {
		t.Errorf("%d events", len(got))
	}
	if err := store.Stream(ctx, es.Checkpoint{}, last.Position, 0, nil); !errors.Is(err, es.ErrInvalid) {
		t.Errorf("pages of none: %v", err)
	}
}

// A stream of a log that was put back is refused before it gives anything, and one that is
// fine goes on over a start of the server.
func TestStream_of_a_log_that_is_put_back(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	store := pgstoretest.Open(t, server.URL())
	ctx := within(t, 2*time.Minute)
	kept := appendEach(ctx, t, store, "kept", 5)
	backup := server.Backup()
	lost := appendEach(ctx, t, store, "lost", 5)
	reader := pgstore.New(server.Pool())
	if got := streamed(ctx, t, reader, es.Checkpoint{}, lost.Position, 3); len(got) != 10 {
		t.Fatalf("%d events", len(got))
	}
	before := es.Checkpoint{Position: kept.Position - 2, EventID: eventAt(ctx, t, store, kept.Position-2)}
	server.Restore(backup)
	given := 0
	count := func(page *pgstore.Page) error { given += len(page.Events); return nil }
	err := retryUnreachable(ctx, func() error {
		return reader.Stream(ctx, es.Checkpoint{Position: lost.Position, EventID: lost.ID}, lost.Position+10, 3, count)
	})
	wantRestored(t, "a place that is gone", err, "asof repair")
	must(t, reader.Stream(ctx, before, lost.Position, 3, count))
	if given != 2 {
		t.Errorf("%d events, want the last two that are left", given)
	}
}

func eventAt(ctx context.Context, t *testing.T, store *pgstore.Store, at es.Position) (id uuid.UUID) {
	t.Helper()
	must(t, store.Pool().QueryRow(ctx, `select event_id from asof.events where position = $1`, int64(at)).Scan((*[16]byte)(&id)))
	return id
}

// A stream of several queries goes on at the event that it gave last, wherever it began.
func TestStream_from_a_checkpoint_goes_on_over_several_queries(t *testing.T) {
	t.Parallel()
	store := open(t)
	ctx := within(t, time.Minute)
	first := appendEach(ctx, t, store, "1", 1)
	for range 2 {
		_, err := store.Append(ctx, stream("1"), es.Any, someEvents(1000)...)
		must(t, err)
	}
	got := streamed(ctx, t, store, es.Checkpoint{Position: first.Position, EventID: first.ID}, 2001, 100)
	if len(got) != 2000 || got[1999].Position != 2001 {
		t.Errorf("%d events", len(got))
	}
}
