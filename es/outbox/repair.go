package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
)

const (
	// repairRowSQL puts back the row that a restore of some of the tables leaves out.
	// Bind: nothing.
	repairRowSQL = `insert into {asof}.relay default values on conflict do nothing`

	// repairLockSQL tells whether a relay is active. Bind: nothing.
	repairLockSQL = `select ` + active + `, coalesce(leader, '') from {asof}.relay for update of relay`

	// skippedSQL counts what will not be published, as the operator says that it was. Bind:
	// $1 position.
	skippedSQL = `
select count(*) from {asof}.relay r join {asof}.events e on e.position > r.position and e.position <= $1`

	// freeLostSQL forgets what is held of events that are lost. Bind: nothing.
	freeLostSQL = `delete from {asof}.held h where not exists (select from {asof}.events e where e.event_id = h.event_id)`

	// repairSQL begins a new epoch without a holder, so that no relay of before can move
	// the checkpoint. Bind: $1 position, $2 life.
	repairSQL = `
update {asof}.relay set epoch = epoch + 1, leader = null, lease_until = null, position = $1,
    event_id = (select event_id from {asof}.events where position = $1), life = $2,
    failure = null, failed_at = null, updated_at = clock_timestamp()`
)

// RepairOption says more about a repair.
type RepairOption func(*repair)

type repair struct {
	store *pgstore.Store
	from  es.Position
	lost  bool
}

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
// after 5 seconds gives [es.ErrNotSettled], and so does one that was open and has put an
// event below the position meanwhile, of which the caller could not know. A repair that
// is refused changes nothing.
func Repair(ctx context.Context, store *pgstore.Store, from es.Position, options ...RepairOption) error {
	r := repair{store: store, from: from}
	for _, option := range options {
		option(&r)
	}
	var known int64 // events that are skipped
	if err := store.Pool().QueryRow(ctx, expand(skippedSQL, store), int64(from)).Scan(&known); err != nil {
		return explain("repair", err)
	}
	_, err := store.Repair(ctx, r.lost, func(ctx context.Context, tx pgx.Tx, found pgstore.Repaired) error {
		return r.inTx(ctx, tx, found, known)
	})
	if err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrInvalid) {
		return fmt.Errorf("outbox: %w", err)
	}
	return err
}

// inTx is the relay's part, under the lock of the log.
func (r *repair) inTx(ctx context.Context, tx pgx.Tx, found pgstore.Repaired, known int64) error {
	if _, err := tx.Exec(ctx, expand(repairRowSQL, r.store)); err != nil {
		return pg.Explain("repair", "the relay's row", err)
	}
	var busy bool
	var leader string
	if err := tx.QueryRow(ctx, expand(repairLockSQL, r.store)).Scan(&busy, &leader); err != nil {
		return pg.Explain("repair", "look for a relay", err)
	}
	var skipped int64
	if err := tx.QueryRow(ctx, expand(skippedSQL, r.store), int64(r.from)).Scan(&skipped); err != nil {
		return pg.Explain("repair", "count what is not published", err)
	}
	switch {
	case busy:
		return fmt.Errorf("%w: %s: stop it before the repair", ErrBusy, leader)
	case r.from < 0 || r.from > found.Head:
		return fmt.Errorf("%w: position %d: the log goes from 0 to %d", ErrInvalid, r.from, found.Head)
	case skipped > known:
		return fmt.Errorf("repair: %w: an append that was open has put %d events at or below position %d meanwhile, which would not be published: look at the log again and say from where to go on", es.ErrNotSettled, skipped-known, r.from)
	}
	if _, err := tx.Exec(ctx, expand(freeLostSQL, r.store)); err != nil {
		return pg.Explain("repair", "forget what is held of lost events", err)
	}
	_, err := tx.Exec(ctx, expand(repairSQL, r.store), int64(r.from), found.Life)
	return pg.Explain("repair", "move the checkpoint", err)
}
