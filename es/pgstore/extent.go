package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// Extent is how much of the log a reader has before it.
type Extent struct {
	Events int64         // at most the limit that was asked for
	Age    time.Duration // since the first of them was recorded
}

// extentSQL counts events. Bind: $1 after, $2 categories or null, $3 limit.
const extentSQL = `
select count(*), coalesce(extract(epoch from clock_timestamp() - min(recorded_at)), 0)::float8
from (select recorded_at from {asof}.events
      where position > $1 and ($2::text[] is null or category = any($2))
      order by position limit $3) e`

// Beyond measures what is visible after a position, of the given categories or of all:
// how far a reader that stands there is behind. It counts no further than limit, which
// bounds its cost.
func (s *Store) Beyond(ctx context.Context, after es.Position, limit int64, categories ...string) (e Extent, err error) {
	if err := s.ready(ctx, s.pool); err != nil {
		return e, err
	}
	if len(categories) == 0 {
		categories = nil
	}
	var seconds float64
	batch := &pgx.Batch{}
	batch.Queue(pg.NoStatementTimeoutSQL)
	batch.Queue(s.sql.extent, int64(after), categories, limit).QueryRow(func(row pgx.Row) error { return row.Scan(&e.Events, &seconds) })
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return Extent{}, explain("measure the log", err)
	}
	e.Age = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	return e, nil
}
