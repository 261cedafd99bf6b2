package apply

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
)

// lastVersionsSQL finds the last version of each stream up to a position. Bind: $1 position,
// $2 categories or null.
const lastVersionsSQL = `
select category, stream_id, max(version) from {asof}.events
where position <= $1 and ($2::text[] is null or category = any($2))
group by category, stream_id`

// seed notes for each stream what a build has applied that the log has fed.
func (a *Applier) seed(ctx context.Context, tx pgx.Tx, b books.Build) error {
	if a.Beside() {
		insert := a.Books.SQL(`insert into {asof}.dedup (build, category, stream_id, version) select $3, last.* from (`)
		_, err := tx.Exec(ctx, insert+a.logSQL(lastVersionsSQL)+`) last`, int64(b.Position), a.Def.Categories, b.ID)
		return err
	}
	options := pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, a.Log.Pool(), options, func(log pgx.Tx) error {
		if _, err := log.Exec(ctx, pg.NoStatementTimeoutSQL); err != nil {
			return err
		}
		rows, err := log.Query(ctx, a.logSQL(lastVersionsSQL), int64(b.Position), a.Def.Categories)
		if err != nil {
			return err
		}
		defer rows.Close()
		_, err = tx.CopyFrom(ctx, pgx.Identifier{a.Books.Schema(), "dedup"}, []string{"build", "category", "stream_id", "version"}, &seeds{rows, b.ID})
		return err
	})
}

// seeds are the rows of the log as those of a build.
type seeds struct {
	pgx.Rows
	build int64
}

// Values implements [pgx.CopyFromSource].
func (s *seeds) Values() ([]any, error) {
	values, err := s.Rows.Values()
	return append([]any{s.build}, values...), err
}
