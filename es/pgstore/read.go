package pgstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

const columnsSQL = `position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at`

// readStreamSQL reads a page of a stream by its unique index; its limit is written
// behind it, as for readLogSQL. Bind: $1 category, $2 stream id, $3 first version.
const readStreamSQL = `
select ` + columnsSQL + ` from {asof}.events
where category = $1 and stream_id = $2 and version >= $3
order by version limit `

// originSQL tells where a page of a stream came from. Bind: nothing.
const originSQL = `select pg_postmaster_start_time(), current_setting('synchronous_standby_names') <> ''`

// existsSQL tells an empty end of a stream from no stream. Bind: $1 category,
// $2 stream id.
const existsSQL = `select exists (select from {asof}.events where category = $1 and stream_id = $2 and version = 1)`

// page is how many events one round trip of ReadStream reads at most. Pages, rather
// than one open result, leave the connection free for the loop's own statements.
const page = 1000

func (s *Store) readStream(ctx context.Context, db db, stream es.StreamID, from es.Version, yield func(es.RecordedEvent, error) bool) {
	fail := func(err error) { yield(es.RecordedEvent{}, explain("read "+stream.String(), err)) }
	if err := stream.Validate(); err != nil {
		fail(err)
		return
	}
	from = max(from, 1)
	for first := true; ; first = false {
		ask := s.sizes.fit(stream.Category, page, 0)
		got, err := s.streamPage(ctx, db, stream, from, ask)
		if err != nil {
			fail(err)
			return
		}
		events, bytes := got.events, got.bytes
		s.sizes.note(stream.Category, len(events), bytes)
		if first && len(events) == 0 {
			if err := s.mustExist(ctx, db, stream, from); err != nil {
				fail(err)
			}
			return
		}
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if len(events) < ask && bytes < pageBytes {
			return
		}
		from = events[len(events)-1].Version + 1
	}
}

// streamPage reads a page of a stream. Outside of the caller's transactions it waits for
// the standbys, where the store does so.
func (s *Store) streamPage(ctx context.Context, db db, stream es.StreamID, from es.Version, ask int) (page scanned, err error) {
	sql := s.sql.readStream + strconv.Itoa(ask)
	if db != s.pool || !s.replicated {
		rows, err := db.Query(ctx, sql, stream.Category, stream.ID, int64(from))
		if err == nil {
			err = page.collect(rows)
		}
		return page, err
	}
	return again("read "+stream.String(), func() (page scanned, err error) {
		var o origin
		batch := &pgx.Batch{}
		batch.Queue(originSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&o.started, &o.replicated) })
		batch.Queue(sql, stream.Category, stream.ID, int64(from)).Query(page.collect)
		if err = s.pool.SendBatch(ctx, batch).Close(); err == nil {
			err = s.replicate(ctx, o)
		}
		return page, err
	})
}

func (s *Store) mustExist(ctx context.Context, db db, stream es.StreamID, from es.Version) error {
	exists := false
	if from > 1 {
		if err := db.QueryRow(ctx, s.sql.exists, stream.Category, stream.ID).Scan(&exists); err != nil {
			return err
		}
	}
	if !exists {
		return fmt.Errorf("%w: %s", es.ErrStreamNotFound, stream)
	}
	return nil
}
