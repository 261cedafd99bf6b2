package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
)

// Repaired is what a repair has found and made.
type Repaired struct {
	Life     uuid.UUID   // of the store from now on
	Head     es.Position // of the log; all of it is settled
	Sequence es.Position // where positions were drawn from before; below Head it was moved there
	Place    string      // what has changed about where the store is, in words; empty when nothing has
}

// repairPatience is how long a repair waits for appends that are open.
const repairPatience = 5 * time.Second

type repairStatements struct{ lock, momentLock, state, renew, settle, identity, categories string }

func newRepairStatements(with func(string, ...string) string) repairStatements {
	return repairStatements{
		lock: with(`select pg_advisory_xact_lock({lock})`), momentLock: with(`select pg_advisory_xact_lock({momentLock})`), state: with(repairStateSQL), renew: with(repairIdentitySQL),
		settle: with(repairSettledSQL), categories: with(repairCategoriesSQL),
		identity: with(`insert into {asof}.store_identity default values on conflict do nothing`),
	}
}

const (
	// repairStateSQL puts the sequence above the log, and the settled moment back to
	// where it was: sequences are not in every dump, and in no logical replica.
	repairStateSQL = `
select head, drawn, case when drawn < head then setval({sequence}, head) end,
       setval({moment}, greatest(coalesce(pg_sequence_last_value({moment}), 0),
              coalesce((select (extract(epoch from moment) * 1000000)::bigint from {asof}.settled_head), 0)))
from (select (select coalesce(max(position), 0) from {asof}.events) as head, coalesce(pg_sequence_last_value({sequence}), 0) as drawn offset 0) as log`

	// repairIdentitySQL confirms the place, and begins another life when events were
	// lost. Bind: $1 whether they were.
	repairIdentitySQL = `
update {asof}.store_identity s set life = case when $1 then gen_random_uuid() else s.life end,
       (system_id, timeline, database_oid, events_oid) = (select system_id, timeline, database_oid, events_oid from {asof}.store_place())
returning life`

	// repairSettledSQL: nothing is open under the lock, so all of the log is settled, and
	// no moment of before lies above its end. Bind: $1 head.
	repairSettledSQL = `
insert into {asof}.settled_head (position, moment_position) values ($1, $1)
on conflict (only_row) do update set position = $1, moment_position = $1`

	repairCategoriesSQL = `
insert into {asof}.categories (topic, category)
select distinct on (translate(category, '.', '_')) translate(category, '.', '_'), category
from (select category, min(position) as first from {asof}.events where version = 1 group by category) c
order by translate(category, '.', '_'), first
on conflict do nothing`
)

// Repair says that this database is the store to go on with, after it was restored,
// copied, promoted or filled by other means than appends; [es.ErrRestored] asks for it.
// With lost, events that somebody may have read are gone: the store begins another
// life, so that whoever keeps what was made of them stops and says so (see
// [es.ErrAnotherLife]).
//
// It waits 5 seconds at most for appends that are open, and holds new ones up until it
// is done. With it goes what the caller does in the same transaction; nil is nothing.
// The relay has a part in a repair: call outbox.Repair, which calls this.
func (s *Store) Repair(ctx context.Context, lost bool, with func(ctx context.Context, tx pgx.Tx, r Repaired) error) (Repaired, error) {
	var r Repaired
	if err := s.ready(ctx, s.pool); err != nil {
		return r, err
	}
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
		if r, err = s.repair(ctx, tx, lost); err != nil || with == nil {
			return err
		}
		return with(ctx, tx, r)
	})
	if err != nil {
		return Repaired{}, err
	}
	s.run.Store(nil) // the next reader begins in the new life
	s.tail.changed()
	return r, nil
}

func (s *Store) repair(ctx context.Context, tx pgx.Tx, lost bool) (r Repaired, err error) {
	q := &s.sql.repair
	if _, err := tx.Exec(ctx, `select set_config('lock_timeout', $1, true)`, fmt.Sprint(repairPatience.Milliseconds())); err != nil {
		return r, explain("repair", err)
	}
	if _, err := tx.Exec(ctx, q.lock); err != nil {
		if pg.Is(err, pg.LockNotAvailable) {
			return r, fmt.Errorf("pgstore: repair: %w: an append is open: end its transaction, which `%s status` names: %w", es.ErrNotSettled, pg.Program(), err)
		}
		return r, explain("repair", err)
	}
	if _, err := tx.Exec(ctx, q.momentLock); err != nil { // or a moment that is being raised would be set back
		return r, explain("repair", err)
	}
	if _, err := tx.Exec(ctx, q.identity); err != nil {
		return r, explain("repair", err)
	}
	var p probe
	if err := p.scan(tx.QueryRow(ctx, s.sql.probe, nil, nil)); err != nil {
		return r, explain("repair", err)
	}
	if err := p.refused(s); err != nil {
		return r, err
	}
	var was, is place
	if err := scanPlaces(tx.QueryRow(ctx, s.sql.place), &was, &is); err != nil {
		return r, explain("repair", err)
	}
	r.Place = is.differs(was)
	if err := tx.QueryRow(ctx, q.state).Scan((*int64)(&r.Head), (*int64)(&r.Sequence), nil, nil); err != nil {
		return r, explain("repair", err)
	}
	if err := tx.QueryRow(ctx, q.renew, lost).Scan((*[16]byte)(&r.Life)); err != nil {
		return r, explain("repair", err)
	}
	if _, err := tx.Exec(ctx, q.settle, int64(r.Head)); err != nil {
		return r, explain("repair", err)
	}
	_, err = tx.Exec(ctx, q.categories)
	return r, explain("repair", err)
}
