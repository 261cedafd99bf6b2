package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// WaitFor waits until the live read model has applied every event up to a position,
// such as that of an event which the caller has just appended. It waits as long as
// ctx lets it, also for a read model that is not built yet, and for a position that no
// event has yet. Where the event at the position is parked, it returns a [*ParkedError] at
// once: all else is visible.
func (p *Projector) WaitFor(ctx context.Context, position es.Position) error {
	if p.invalid != nil {
		return p.invalid
	}
	for began := time.Now(); ; {
		done, err := p.reached(ctx, position)
		if parked := (*ParkedError)(nil); errors.As(err, &parked) {
			return err
		}
		if err != nil {
			return explain(fmt.Sprintf("wait for position %d of %s", position, p.def.name), err)
		}
		if done {
			return nil
		}
		wait := max(time.Since(began)/4, time.Millisecond) // mostly it is a matter of milliseconds
		if err := pause(ctx, min(wait, p.poll)); err != nil {
			return fmt.Errorf("projections: %s has not reached position %d: is its projector running? %w", p.def.name, position, err)
		}
	}
}

// Bind: $1 name.
const reachedSQL = `
select b.id, b.kind, l.position, l.parked
from {asof}.builds b join {asof}.lanes l on l.build = b.id and l.lane = 0 where b.name = $1 and b.status = 'live'`

// appliedUpToSQL asks whether a build that Kafka feeds has applied the event at a position
// and all before it. Bind: $1 build, $2 its position, $3 position, $4 categories or null.
const appliedUpToSQL = `
select exists (select from {asof}.events where position = $3) and not exists (
    select from {asof}.events e
    left join {asof}.dedup s on s.build = $1 and s.category = e.category and s.stream_id = e.stream_id
    where e.position > $2 and e.position <= $3 and e.version > coalesce(s.version, 0) and ($4::text[] is null or e.category = any($4)))`

func (p *Projector) reached(ctx context.Context, position es.Position) (done bool, err error) {
	var b build
	err = p.target.Pool().QueryRow(ctx, p.q(reachedSQL), p.def.name).Scan(&b.ID, &b.Kind, (*int64)(&b.Position), &b.Parked)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case b.Kind == kindLog || b.Position >= position:
		done = b.Position >= position
	default:
		done, err = p.appliedUpTo(ctx, b, position)
	}
	if done && (b.Parked > 0 || b.Kind == kindKafka) { // which may have parked it since
		err = p.notParked(ctx, b, position)
	}
	return done, err
}

func (p *Projector) appliedUpTo(ctx context.Context, b build, position es.Position) (done bool, err error) {
	err = p.target.Pool().QueryRow(ctx, p.q(appliedUpToSQL), b.ID, int64(b.Position), int64(position), p.def.categories).Scan(&done)
	return done, err
}

// ParkedError says that a read model has come to a position, and lacks the event there.
type ParkedError struct {
	Projection string
	Position   es.Position // that was waited for
	// Stream and Version are those of the event that could not be applied: the one at the
	// position, or an earlier one of its sequence.
	Stream  es.StreamID
	Version es.Version
	Key     string // of the row that lacks it; empty: all that the event touches
	Reason  string // why it could not be applied
}

func (e *ParkedError) Error() string {
	row := ""
	if e.Key != "" {
		row = fmt.Sprintf(" for row %q", e.Key)
	}
	return fmt.Sprintf("projections: %s is visible up to position %d, but without %s from version %d on%s, which is parked: %s",
		e.Projection, e.Position, e.Stream, e.Version, row, e.Reason)
}

// parkedAtSQL finds why the event at a position is parked: what its sequence begins with.
// Bind: $1 build, $2 position.
const parkedAtSQL = `
select h.category, h.stream_id, h.version, h.key, coalesce(h.error, '')
from {asof}.parked p
cross join lateral (
    select * from {asof}.parked h where h.build = p.build and h.category = p.category and h.stream_id = p.stream_id and h.key_hash = p.key_hash
    order by h.version limit 1) h
where p.build = $1 and p.position = $2
order by h.version, h.key limit 1`

// notParked gives a [*ParkedError] for an event that is parked.
func (p *Projector) notParked(ctx context.Context, b build, position es.Position) error {
	e := &ParkedError{Projection: p.def.name, Position: position}
	err := p.target.Pool().QueryRow(ctx, p.q(parkedAtSQL), b.ID, int64(position)).Scan(&e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version), &e.Key, &e.Reason)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	default:
		return e
	}
}
