package apply

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

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
	if kind == books.KindKafka && !a.Beside() { // what streams had in another log says nothing
		if err := a.Log.Verify(ctx, a.Checkpoint(b)); err != nil {
			return now, false, err
		}
	}
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
		if err := a.seed(ctx, tx, b); err != nil {
			return false, err
		}
	} else {
		reach, err := a.Reach(ctx, tx, b)
		if err != nil || reach.Position > b.Position {
			return false, err
		}
		batch.Queue(a.Books.SQL(`delete from {asof}.dedup where build = $1`), b.ID)
		batch.Queue(a.Books.SQL(`delete from {asof}.offsets where build = $1`), b.ID)
		batch.Queue(a.Books.SQL(joinLanesSQL), b.ID)
	}
	batch.Queue(a.Books.SQL(kindSQL), b.ID, kind)
	return true, tx.SendBatch(ctx, batch).Close()
}
