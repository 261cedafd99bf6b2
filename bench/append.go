package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// bareTable has the columns, indexes and constraints of the event log. Its
// position has a default, as a table has whose readers may miss rows.
const bareTable = `
create sequence bare_position;
create table bare_events (like asof.events including all);
alter table bare_events alter column position set default nextval('bare_position')`

const bareInsert = `
insert into bare_events (category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())`

const bareUnnest = `
insert into bare_events (category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
select $1, $2, n, u.id, u.type, u.schema, u.content_type, u.data, u.metadata, clock_timestamp()
from unnest($3::uuid[], $4::text[], $5::int[], $6::text[], $7::bytea[], $8::bytea[])
    with ordinality as u(id, type, schema, content_type, data, metadata, n)`

// benchAppend compares appends of one event, each in a transaction of its own, with
// inserts that check no version, take no lock and return nothing.
func benchAppend(ctx context.Context, w *world, s settings, r *report) error {
	store, err := storeWithBareTable(ctx, w)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	for _, writers := range []int{1, 8, 32} {
		err := r.compare(ctx, fmt.Sprintf("one event, %d writers", writers),
			side{name: "asof", run: func(ctx context.Context) (done, error) { return oneByOne(ctx, writers, s.round, appendOne(store)) }},
			side{name: "bare insert", run: func(ctx context.Context) (done, error) { return oneByOne(ctx, writers, s.round, insertOne(store)) }})
		if err != nil {
			return err
		}
	}
	return nil
}

// benchBatch compares appends of ten events with an insert of ten rows.
func benchBatch(ctx context.Context, w *world, s settings, r *report) error {
	store, err := storeWithBareTable(ctx, w)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	for _, writers := range []int{1, 8} {
		err := r.compare(ctx, fmt.Sprintf("%d events at once, %d writers", streamLength, writers),
			side{name: "asof", run: func(ctx context.Context) (done, error) { return batches(ctx, writers, s.round, appendMany(store)) }},
			side{name: "bare insert by unnest", run: func(ctx context.Context) (done, error) { return batches(ctx, writers, s.round, insertMany(store)) }})
		if err != nil {
			return err
		}
	}
	return nil
}

func storeWithBareTable(ctx context.Context, w *world) (*pgstore.Store, error) {
	store, err := w.store(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := store.Pool().Exec(ctx, bareTable); err != nil {
		store.Pool().Close()
		return nil, err
	}
	return store, nil
}

// writeOne writes the event that follows version v of a stream.
type writeOne func(ctx context.Context, stream es.StreamID, v es.Version, event es.EventData) error

func appendOne(store *pgstore.Store) writeOne {
	return func(ctx context.Context, stream es.StreamID, v es.Version, event es.EventData) error {
		_, err := store.Append(ctx, stream, es.Exactly(v), event)
		return err
	}
}

func insertOne(store *pgstore.Store) writeOne {
	return func(ctx context.Context, stream es.StreamID, v es.Version, e es.EventData) error {
		_, err := store.Pool().Exec(ctx, bareInsert, stream.Category, stream.ID, int64(v+1), [16]byte(e.ID), e.Type, 1, nil, e.Data, []byte{})
		return err
	}
}

// writeMany writes a new stream.
type writeMany func(ctx context.Context, stream es.StreamID, events []es.EventData) error

func appendMany(store *pgstore.Store) writeMany {
	return func(ctx context.Context, stream es.StreamID, events []es.EventData) error {
		_, err := store.Append(ctx, stream, es.NoStream, events...)
		return err
	}
}

func insertMany(store *pgstore.Store) writeMany {
	return func(ctx context.Context, stream es.StreamID, events []es.EventData) error {
		n := len(events)
		ids, types, schemas := make([][16]byte, n), make([]string, n), make([]int32, n)
		contentTypes, data, metadata := make([]*string, n), make([][]byte, n), make([][]byte, n)
		for i, e := range events {
			ids[i], types[i], schemas[i], data[i], metadata[i] = e.ID, e.Type, 1, e.Data, []byte{}
		}
		_, err := store.Pool().Exec(ctx, bareUnnest, stream.Category, stream.ID, ids, types, schemas, contentTypes, data, metadata)
		return err
	}
}

// oneByOne grows streams event by event, each writer its own.
func oneByOne(ctx context.Context, writers int, d time.Duration, write writeOne) (done, error) {
	return together(ctx, writers, d, func(ctx context.Context) (int, error) {
		stream := newStream()
		for v := range streamLength {
			if err := write(ctx, stream, es.Version(v), newEvents(1, es.Metadata{})[0]); err != nil {
				return v, err
			}
		}
		return streamLength, nil
	})
}

// batches writes whole streams.
func batches(ctx context.Context, writers int, d time.Duration, write writeMany) (done, error) {
	return together(ctx, writers, d, func(ctx context.Context) (int, error) {
		events := newEvents(streamLength, es.Metadata{})
		return len(events), write(ctx, newStream(), events)
	})
}

// together lets workers repeat f, which returns how much it did, for a while.
func together(ctx context.Context, workers int, d time.Duration, f func(ctx context.Context) (int, error)) (done, error) {
	group, ctx := errgroup.WithContext(ctx)
	counts := make([]int, workers)
	began := time.Now()
	for i := range counts {
		group.Go(func() error {
			for time.Since(began) < d {
				n, err := f(ctx)
				if err != nil {
					return err
				}
				counts[i] += n
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return done{}, err
	}
	all := done{took: time.Since(began)}
	for _, n := range counts {
		all.events += n
	}
	return all, nil
}
