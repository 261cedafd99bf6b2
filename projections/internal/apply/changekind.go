package apply

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// seedSQL notes for each stream what is applied. Bind: $1 build, $2 position, $3
// categories or null.
const seedSQL = `
insert into {asof}.dedup (build, category, stream_id, version)
select $1, category, stream_id, max(version) from {asof}.events
where position <= $2 and ($3::text[] is null or category = any($3))
group by category, stream_id`

// kindSQL changes the kind. Bind: $1 build, $2 kind.
const kindSQL = `
with raised as (update {asof}.lanes set counter = counter + 1 where build = $1)
update {asof}.builds set kind = $2, updated_at = clock_timestamp() where id = $1`

// joinLanesSQL counts in the log's lane what the others have counted, which are no more. Bind:
// $1 build.
const joinLanesSQL = `
with gone as (delete from {asof}.lanes where build = $1 and lane > 0 returning skipped, parked, foreign_messages)
update {asof}.lanes l set skipped = l.skipped + g.skipped, parked = l.parked + g.parked, foreign_messages = l.foreign_messages + g.foreign_messages
from (select coalesce(sum(skipped), 0) as skipped, coalesce(sum(parked), 0) as parked, coalesce(sum(foreign_messages), 0) as foreign_messages from gone) g
where l.build = $1 and l.lane = 0`

// ChangeKind makes the build one of another kind of source, and reports whether it could: not
// before the log is applied up to where Kafka was. The build is returned as it is then.
func (a *Applier) ChangeKind(ctx context.Context, b books.Build, kind string) (now books.Build, changed bool, err error) {
	now = b
	err = pgx.BeginTxFunc(ctx, a.Books.Pool(), pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		a.QueueLock(batch, b, false, func(locked books.Build) error { now = locked; return nil })
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		changed, err = a.changeKind(ctx, tx, now, kind)
		return err
	})
	if err == nil && changed {
		now.Kind = kind
		now.Counter++
	}
	return now, changed, fault.Wrap("change the kind of source", err)
}

func (a *Applier) changeKind(ctx context.Context, tx pgx.Tx, b books.Build, kind string) (bool, error) {
	batch := &pgx.Batch{}
	if kind == books.KindKafka {
		batch.Queue(a.Books.SQL(seedSQL), b.ID, int64(b.Position), a.Def.Categories)
	} else {
		reach, err := a.Reach(ctx, tx, b)
		if err != nil || reach > b.Position {
			return false, err
		}
		batch.Queue(a.Books.SQL(`delete from {asof}.dedup where build = $1`), b.ID)
		batch.Queue(a.Books.SQL(`delete from {asof}.offsets where build = $1`), b.ID)
		batch.Queue(a.Books.SQL(joinLanesSQL), b.ID)
	}
	batch.Queue(a.Books.SQL(kindSQL), b.ID, kind)
	return true, tx.SendBatch(ctx, batch).Close()
}

// reachSQL finds the last event that is applied, as far as Kafka has brought it. Bind: $1
// build.
const reachSQL = `select coalesce(max(position), 0) from {asof}.offsets where build = $1`

// Reach is the position after which nothing is applied. Whatever Kafka brought is
// settled, so the log up to there is final.
func (a *Applier) Reach(ctx context.Context, db pg.Querier, b books.Build) (es.Position, error) {
	if b.Kind == books.KindLog {
		return b.Position, nil
	}
	var last es.Position
	if err := db.QueryRow(ctx, a.Books.SQL(reachSQL), b.ID).Scan((*int64)(&last)); err != nil {
		return 0, fault.Explain("find how far Kafka has come", err)
	}
	return max(last, b.Position), nil
}
