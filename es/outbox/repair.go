package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

const (
	// repairRowSQL puts back the row that a restore of some of the tables leaves out.
	// Bind: nothing.
	repairRowSQL = `insert into {asof}.relay default values on conflict do nothing`

	// repairLockSQL tells whether a relay is active. Bind: nothing.
	repairLockSQL = `select ` + active + `, coalesce(leader, '') from {asof}.relay for update of relay`

	// repairSQL begins a new epoch without a holder, so that no relay of before can move
	// the checkpoint. Bind: $1 position, $2 life.
	repairSQL = `
update {asof}.relay set epoch = epoch + 1, leader = null, lease_until = null, position = $1,
    event_id = (select event_id from {asof}.events where position = $1), life = $2,
    failure = null, failed_at = null, updated_at = clock_timestamp()`
)

// RepairOption says more about a repair.
type RepairOption func(*repair)

type repair struct{ lost bool }

// EventsLost says that events were lost which somebody may have read: the store then
// begins another life, and its consumers stop until they are told (see
// [es.ErrAnotherLife]).
func EventsLost() RepairOption { return func(r *repair) { r.lost = true } }

// Repair tells all who read the store that this database is the one to go on with, and
// the relay that everything up to a position is published. It is what [ErrRestored]
// asks for, and it publishes old events again when the position is lower than [Status]
// says. It puts the sequence above the log, and confirms where the store is now: see
// [pgstore.Store.Repair].
//
// When nothing was lost (a synchronous standby was promoted, the cluster was
// upgraded, or moved with the relay stopped) go on from the Position of [ReadStatus].
//
// When events were lost, say so by [EventsLost]: Kafka still has them, and new events
// will get versions and positions that consumers have seen before and would drop. In
// the store's new life they stop instead. Take back what they have made of the lost
// events, as by rebuilding their read models, then let them accept the life. Go on from
// the Position, which was restored with the log.
//
// No relay may be active: stop them first, or get [ErrBusy]. An append that is open
// gives [es.ErrNotSettled] after 5 seconds.
func Repair(ctx context.Context, store *pgstore.Store, from es.Position, options ...RepairOption) error {
	var r repair
	for _, option := range options {
		option(&r)
	}
	_, err := store.Repair(ctx, r.lost, func(ctx context.Context, tx pgx.Tx, found pgstore.Repaired) error {
		if _, err := tx.Exec(ctx, expand(repairRowSQL, store)); err != nil {
			return explain("repair", err)
		}
		var busy bool
		var leader string
		if err := tx.QueryRow(ctx, expand(repairLockSQL, store)).Scan(&busy, &leader); err != nil {
			return explain("repair", err)
		}
		switch {
		case busy:
			return fmt.Errorf("%w: %s: stop it before the repair", ErrBusy, leader)
		case from < 0 || from > found.Head:
			return fmt.Errorf("%w: position %d: the log goes from 0 to %d", ErrInvalid, from, found.Head)
		}
		_, err := tx.Exec(ctx, expand(repairSQL, store), int64(from), found.Life)
		return explain("repair", err)
	})
	if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrInvalid) {
		return fmt.Errorf("outbox: %w", err)
	}
	return err
}
