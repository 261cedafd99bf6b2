package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// Bind: nothing.
const repairLockSQL = `
select coalesce(lease_until > clock_timestamp(), false), coalesce(leader, ''),
       (select coalesce(max(position), 0) from {asof}.events)
from {asof}.relay for update of relay`

// repairSQL begins a new epoch, so that no relay of before can move the checkpoint.
// Bind: $1 position, $2 store, $3 events table, $4 system or empty, $5 timeline or
// empty.
const repairSQL = `
update {asof}.relay set epoch = epoch + 1, leader = null, lease_until = null, position = $1,
    event_id = (select event_id from {asof}.events where position = $1),
    store_id = $2, events_oid = $3, system_id = nullif($4, ''), timeline = nullif($5, ''),
    failure = null, failed_at = null, updated_at = clock_timestamp()`

// Repair tells the relay that this database is the one to go on with, and that
// everything up to a position is published. It is what [ErrRestored] asks for, and it
// publishes old events again when the position is lower than [Status] says.
//
// When nothing was lost (a synchronous standby was promoted, the cluster was
// upgraded, or moved with the relay stopped) go on from the Position of [ReadStatus].
//
// When events were lost, Kafka still has them, and new events will get versions and
// positions that consumers have seen before and would drop: bring the consumers back
// too, by rebuilding their projections from the log, before the service appends
// again. Then go on from the Position, which was restored with the log.
//
// No relay may be active: stop them first, or get [ErrBusy].
func Repair(ctx context.Context, store *pgstore.Store, from es.Position) error {
	q := func(sql string) string { return expand(sql, store) }
	id, err := readIdentity(ctx, store.Pool(), q)
	if err != nil {
		return explain("read the store's identity", err)
	}
	var refused error
	err = pgx.BeginFunc(ctx, store.Pool(), func(tx pgx.Tx) error {
		var active bool
		var leader string
		var head int64
		if err := tx.QueryRow(ctx, q(repairLockSQL)).Scan(&active, &leader, &head); err != nil {
			return err
		}
		switch {
		case active:
			refused = fmt.Errorf("%w: %s: stop it before the repair", ErrBusy, leader)
		case from < 0 || int64(from) > head:
			refused = fmt.Errorf("%w: position %d: the log goes from 0 to %d", ErrInvalid, from, head)
		}
		if refused != nil {
			return refused
		}
		_, err := tx.Exec(ctx, q(repairSQL), int64(from), id.store, id.events, id.system, id.timeline)
		return err
	})
	if refused != nil {
		return refused
	}
	return explain("repair", err)
}
