package outbox

import (
	"context"
	"fmt"
)

const howToRepair = "see what was lost and what Kafka has beyond it, then say from which position to go on, by the command repair or outbox.Repair"

// adoptSQL keeps the identity with the first checkpoint. Bind: $1 epoch, $2 store,
// $3 events table, $4 system or empty, $5 timeline or empty.
const adoptSQL = `
update {asof}.relay set store_id = $2, events_oid = $3, system_id = nullif($4, ''), timeline = nullif($5, '')
where epoch = $1`

// placeSQL tells whether the checkpoint is within the log and its event is the one
// that was published. Bind: $1 position, $2 event id or null.
const placeSQL = `
select (select coalesce(max(position), 0) from {asof}.events),
       $2::uuid is null or exists (select from {asof}.events where position = $1 and event_id = $2)`

// check refuses a database that is not the one which the checkpoint is of.
func (t *term) check(ctx context.Context) error {
	if t.first {
		id, err := readIdentity(ctx, t.store.Pool(), t.q)
		if err != nil {
			return explain("read the store's identity", err)
		}
		t.was, t.first = id, false
		return t.write(ctx, "keep the store's identity", adoptSQL, t.epoch, id.store, id.events, id.system, id.timeline)
	}
	if err := t.sameStore(ctx); err != nil {
		return err
	}
	var head int64
	var there bool
	if err := t.store.Pool().QueryRow(ctx, t.q(placeSQL), int64(t.position), t.eventID).Scan(&head, &there); err != nil {
		return explain("look at the checkpoint", err)
	}
	switch {
	case head < int64(t.position):
		return fmt.Errorf("%w: the log ends at position %d and the checkpoint is at %d: %s", ErrRestored, head, t.position, howToRepair)
	case !there:
		return fmt.Errorf("%w: the event at position %d is not the one that was published: %s", ErrRestored, t.position, howToRepair)
	}
	return nil
}

func (t *term) sameStore(ctx context.Context) error {
	id, err := readIdentity(ctx, t.store.Pool(), t.q)
	if err != nil {
		return explain("read the store's identity", err)
	}
	if text := id.differs(t.was); text != "" {
		return fmt.Errorf("%w: %s: %s", ErrRestored, text, howToRepair)
	}
	return nil
}
