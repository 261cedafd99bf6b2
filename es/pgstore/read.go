package pgstore

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

const columnsSQL = `position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at`

// readStreamSQL reads a page of a stream by its unique index. Bind: $1 category,
// $2 stream id, $3 first version, $4 limit.
const readStreamSQL = `
select ` + columnsSQL + ` from SCHEMA.events
where category = $1 and stream_id = $2 and version >= $3
order by version limit $4`

// existsSQL tells an empty end of a stream from no stream. Bind: $1 category,
// $2 stream id.
const existsSQL = `select exists (select from SCHEMA.events where category = $1 and stream_id = $2 and version = 1)`

// page is how many events one round trip of ReadStream reads. Pages, rather than
// one open result, leave the connection free for the loop's own statements.
const page = 1000

func readStream(ctx context.Context, db db, sql *statements, s es.StreamID, from es.Version, yield func(es.RecordedEvent, error) bool) {
	fail := func(err error) { yield(es.RecordedEvent{}, explain("read "+s.String(), err)) }
	if err := s.Validate(); err != nil {
		fail(err)
		return
	}
	from = max(from, 1)
	for first := true; ; first = false {
		events, err := collect(db.Query(ctx, sql.readStream, s.Category, s.ID, int64(from), page))
		if err != nil {
			fail(err)
			return
		}
		if first && len(events) == 0 {
			if err := mustExist(ctx, db, sql, s, from); err != nil {
				fail(err)
			}
			return
		}
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if len(events) < page {
			return
		}
		from = events[len(events)-1].Version + 1
	}
}

func mustExist(ctx context.Context, db db, sql *statements, s es.StreamID, from es.Version) error {
	exists := false
	if from > 1 {
		if err := db.QueryRow(ctx, sql.exists, s.Category, s.ID).Scan(&exists); err != nil {
			return err
		}
	}
	if !exists {
		return fmt.Errorf("%w: %s", es.ErrStreamNotFound, s)
	}
	return nil
}

// collect reads rows of columnsSQL.
func collect(rows pgx.Rows, err error) ([]es.RecordedEvent, error) {
	if err != nil {
		return nil, err
	}
	return collectUpTo(rows, math.MaxInt)
}

// collectUpTo keeps the first rows, until they have so many bytes of payload.
func collectUpTo(rows pgx.Rows, most int) ([]es.RecordedEvent, error) {
	defer rows.Close()
	var (
		list        []es.RecordedEvent
		contentType *string
		metadata    []byte
		bytes       int
	)
	for bytes < most && rows.Next() {
		list = append(list, es.RecordedEvent{ContentType: es.JSONContentType})
		e := &list[len(list)-1]
		err := rows.Scan((*int64)(&e.Position), &e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version), (*[16]byte)(&e.ID),
			&e.Type, &e.Schema, &contentType, &e.Data, &metadata, &e.RecordedAt)
		if err != nil {
			return nil, err
		}
		if contentType != nil {
			e.ContentType = *contentType
		}
		e.RecordedAt = e.RecordedAt.UTC()
		if err := e.Metadata.UnmarshalBinary(metadata); err != nil {
			return nil, fmt.Errorf("metadata of %s version %d: %w", e.Stream, e.Version, err)
		}
		bytes += len(e.Data) + len(metadata)
	}
	rows.Close() // reads past the rows that are not wanted
	return list, rows.Err()
}
