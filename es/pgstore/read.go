package pgstore

import (
	"context"
	"fmt"

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
