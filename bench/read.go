package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// readPage is how many events a Read asks for, as the relay and rebuilds do.
const readPage = 5000

const bareScan = `
select position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at
from asof.events order by position`

// benchRead compares reading the whole log, settled and in pages, with one scan of
// the table into the same structs by pgx's Scan. With metadata, both decode it.
func benchRead(ctx context.Context, w *world, s settings, r *report) error {
	for _, kind := range []struct {
		name     string
		metadata es.Metadata
	}{{"log, no metadata", es.Metadata{}}, {"log, traced", someMetadata()}} {
		if err := readOf(ctx, w, s, r, kind.name, kind.metadata); err != nil {
			return err
		}
	}
	return nil
}

func readOf(ctx context.Context, w *world, s settings, r *report, name string, m es.Metadata) error {
	store, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	if err := fill(ctx, store, s.events, m); err != nil {
		return err
	}
	return r.compare(ctx, name,
		side{name: "asof", run: func(ctx context.Context) (done, error) { return since(readAll(ctx, pgstore.New(store.Pool()))) }},
		side{name: "bare scan", run: func(ctx context.Context) (done, error) { return since(scanAll(ctx, store)) }})
}

// since is what was done since began.
func since(n int, began time.Time, err error) (done, error) {
	return done{events: n, took: time.Since(began)}, err
}

// readAll reads the log to its end. The store is new, so it knows of no settled
// head.
func readAll(ctx context.Context, store *pgstore.Store) (n int, began time.Time, err error) {
	began = time.Now()
	var after es.Position
	for {
		events, err := store.Read(ctx, after, readPage)
		if err != nil || len(events) == 0 {
			return n, began, err
		}
		n += len(events)
		after = events[len(events)-1].Position
	}
}

func scanAll(ctx context.Context, store *pgstore.Store) (n int, began time.Time, err error) {
	began = time.Now()
	var last es.Position
	n, err = scan(ctx, store, func(e es.RecordedEvent) error {
		if e.Position <= last {
			return errors.New("the scan is not in order of position")
		}
		last = e.Position
		return nil
	})
	return n, began, err
}

// scan reads the table as anybody would with pgx.
func scan(ctx context.Context, store *pgstore.Store, each func(es.RecordedEvent) error) (n int, err error) {
	rows, err := store.Pool().Query(ctx, bareScan)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		e := es.RecordedEvent{ContentType: es.JSONContentType}
		var contentType *string
		var metadata []byte
		err := rows.Scan((*int64)(&e.Position), &e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version), (*[16]byte)(&e.ID),
			&e.Type, &e.Schema, &contentType, &e.Data, &metadata, &e.RecordedAt)
		if err != nil {
			return n, err
		}
		if err := e.Metadata.UnmarshalBinary(metadata); err != nil {
			return n, err
		}
		if err := each(e); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

// benchGrowth compares a long log with a short one. The cost of an append and of a
// page must not grow with the log.
func benchGrowth(ctx context.Context, w *world, s settings, r *report) error {
	short := min(10_000, s.grown)
	small, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer small.Pool().Close()
	large, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer large.Pool().Close()
	for store, n := range map[*pgstore.Store]int{small: short, large: s.grown} {
		if err := fill(ctx, store, n, es.Metadata{}); err != nil {
			return err
		}
	}
	grown, begun := fmt.Sprintf("%d", s.grown), fmt.Sprintf("%d events", short)
	err = r.compare(ctx, "read the last pages",
		side{name: grown, run: func(ctx context.Context) (done, error) { return since(readTail(ctx, large, s.grown)) }},
		side{name: begun, run: func(ctx context.Context) (done, error) { return since(readTail(ctx, small, short)) }})
	if err != nil {
		return err
	}
	return r.compare(ctx, "append one event, 8 writers",
		side{name: grown, run: func(ctx context.Context) (done, error) { return oneByOne(ctx, 8, s.round, appendOne(large)) }},
		side{name: begun, run: func(ctx context.Context) (done, error) { return oneByOne(ctx, 8, s.round, appendOne(small)) }})
}

// readTail reads the last thousands of the first n events, several times.
func readTail(ctx context.Context, store *pgstore.Store, n int) (read int, began time.Time, err error) {
	const pages, times = 2, 8
	began = time.Now()
	for range times {
		after := es.Position(max(n-pages*readPage, 0))
		for range pages {
			events, err := store.Read(ctx, after, readPage)
			if err != nil {
				return read, began, err
			}
			if len(events) == 0 {
				break
			}
			read += len(events)
			after = events[len(events)-1].Position
		}
	}
	return read, began, nil
}
