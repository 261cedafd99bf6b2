package books

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/fault"
)

// checkpointSQL moves the build on, if nobody else has written since it was locked, and
// returns the transaction's id. Bind: $1 build, $2 counter as found, $3 position, $4 events
// read, $5 skipped, $6 id of the event at the position, or null, $7 units parked, $8 messages
// that are no events of the log.
const checkpointSQL = `
update {asof}.lanes
set position = greatest(position, $3), events = events + $4, skipped = skipped + $5, parked = parked + $7, counter = counter + 1,
    foreign_messages = foreign_messages + $8, event_id = case when $3 > position then $6 else event_id end
where build = $1 and lane = 0 and counter = $2
returning pg_current_xact_id()::xid::text::bigint`

// appliedSQL says that the build is at work. Bind: $1 build, $2 life of the log or null.
const appliedSQL = `
update {asof}.builds
set life = coalesce($2, life), failure = null, updated_at = clock_timestamp(),
    lease_until = case when status = 'building' then ` + LeaseSQL + ` end
where id = $1`

// LogLane is the lane of a build that follows the log. A partition of Kafka has the lane of
// its number and one: several topics' partitions of a number have one lane.
const LogLane = 0

// laneTallySQL counts what a lane of Kafka has applied, whose row is locked. Bind: $1 build, $2
// lane, $3 skipped, $4 units parked, $5 messages that are no events of the log.
const laneTallySQL = `
update {asof}.lanes set skipped = skipped + $3, parked = parked + $4, foreign_messages = foreign_messages + $5, counter = counter + 1
where build = $1 and lane = $2`

// QueueLaneTally writes what a lane of Kafka has applied. The row of the build is left alone,
// which other lanes do not wait for.
func (k Books) QueueLaneTally(out *pgx.Batch, b *Build, lane int, t *Tally) {
	k.queueSums(out, *b, lane, t.sums)
	out.Queue(k.SQL(laneTallySQL), b.ID, lane, t.Skipped, t.Parked, t.Foreign)
	b.Parked += t.Parked
}

// QueueTally writes what is applied, and changes b as its rows are changed. The id of the
// transaction goes to xid, if that is not nil.
func (k Books) QueueTally(out *pgx.Batch, b *Build, t *Tally, xid *uint32) {
	k.queueSums(out, *b, LogLane, t.sums)
	if t.Position > b.Position {
		b.Position, b.Event = t.Position, t.Event
	}
	id, name, version := b.ID, b.Name, b.Version
	out.Queue(k.SQL(checkpointSQL), b.ID, b.Counter, int64(b.Position), t.Read, t.Skipped, OrNull(b.Event), t.Parked, t.Foreign).QueryRow(func(row pgx.Row) error {
		var by int64
		err := row.Scan(&by)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("%w: %s version %d, build %d", fault.ErrFenced, name, version, id)
		}
		if xid != nil {
			*xid = uint32(by) //nolint:gosec // it has 32 bits
		}
		return err
	})
	out.Queue(k.SQL(appliedSQL), b.ID, OrNull(b.Life))
	b.Counter++
	b.Parked += t.Parked
}

// OrNull is null for no id.
func OrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// OrNil is no id for null.
func OrNil(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}
