package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/wait"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// WaitFor waits until the live read model has applied every event up to a position,
// such as that of an event which the caller has just appended. It waits as long as
// ctx lets it, also for a read model that is not built yet, and for a position that no
// event has yet. Where the event at the position is parked, it returns a [*ParkedError] at
// once: all else is visible. When ctx ends the error is that of ctx. A read model without a
// log gives [ErrNoLog].
func (p *Projector) WaitFor(ctx context.Context, position es.Position) error {
	if p.invalid != nil {
		return p.invalid
	}
	if p.apply.Log == nil {
		return fmt.Errorf("%w: positions of %s mean nothing without one: wait for a token (WaitForToken)", fault.ErrNoLog, p.apply.Def.Name)
	}
	return p.waitUntil(ctx, fmt.Sprintf("position %d", position), func() (bool, error) { return p.reached(ctx, position) })
}

// WaitForToken is WaitFor for an event that [pgstore.Store.Token] names, and works for
// every kind of source. One of another life of the store gives [es.ErrAnotherLife], and one
// of a category that the projection does not have [es.ErrInvalid]. Where the read model is
// fed from Kafka alone, a life that it has seen no event of yet may still come.
func (p *Projector) WaitForToken(ctx context.Context, t es.Token) error {
	if p.invalid != nil {
		return p.invalid
	}
	if !p.apply.Def.Wants(t.Stream.Category) {
		return fmt.Errorf("projections: %w: %s has no events of category %s", es.ErrInvalid, p.apply.Def.Name, t.Stream.Category)
	}
	if p.apply.Log == nil {
		return p.waitUntil(ctx, t.String(), func() (bool, error) { return p.hasToken(ctx, t) })
	}
	life, err := p.apply.Log.Life(ctx)
	if err != nil {
		return err
	}
	if life != t.Life {
		return fmt.Errorf("projections: %w: the token is of life %s, and the store lives %s: its event may be lost", es.ErrAnotherLife, t.Life, life)
	}
	return p.WaitFor(ctx, t.Position)
}

// hasTokenSQL asks whether the live build has an event of a life. Bind: $1 name, $2 life,
// $3 category, $4 stream, $5 version.
const hasTokenSQL = `
select b.id, b.parked, d.source from (select b.id, (select sum(parked) from {asof}.lanes where build = b.id)::bigint as parked from {asof}.builds b where b.name = $1 and b.status = 'live') b
join {asof}.dedup d on d.build = b.id and d.category = $3 and d.stream_id = $4 and d.version >= $5
join {asof}.lives l on l.build = b.id and l.source = d.source and l.life = $2`

func (p *Projector) hasToken(ctx context.Context, t es.Token) (bool, error) {
	var b books.Build
	var source string
	err := p.apply.Books.Pool().QueryRow(ctx, p.apply.Books.SQL(hasTokenSQL), p.apply.Def.Name, t.Life, t.Stream.Category, t.Stream.ID, int64(t.Version)).Scan(&b.ID, &b.Parked, &source)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err == nil && b.Parked > 0:
		err = p.notParked(ctx, t.Position, p.apply.Books.SQL(parkedOfSQL), b.ID, t.Stream.Category, t.Stream.ID, int64(t.Version), source)
	}
	return err == nil, err
}

// waitUntil asks until it holds, or ctx ends.
func (p *Projector) waitUntil(ctx context.Context, what string, holds func() (bool, error)) error {
	for began := time.Now(); ; {
		done, err := holds()
		if parked := (*ParkedError)(nil); errors.As(err, &parked) {
			return err
		}
		if err != nil {
			return fault.Explain(fmt.Sprintf("wait for %s of %s", what, p.apply.Def.Name), err)
		}
		if done {
			return nil
		}
		next := max(time.Since(began)/4, time.Millisecond) // mostly it is a matter of milliseconds
		if err := wait.For(ctx, min(next, p.feed.Poll)); err != nil {
			return fmt.Errorf("projections: %s has not reached %s: is its projector running? %w", p.apply.Def.Name, what, err)
		}
	}
}

// Bind: $1 name.
const reachedSQL = `
select b.id, b.kind, l.position, (select sum(parked) from {asof}.lanes where build = b.id)::bigint
from {asof}.builds b join {asof}.lanes l on l.build = b.id and l.lane = 0 where b.name = $1 and b.status = 'live'`

func (p *Projector) reached(ctx context.Context, position es.Position) (done bool, err error) {
	var b books.Build
	err = p.apply.Books.Pool().QueryRow(ctx, p.apply.Books.SQL(reachedSQL), p.apply.Def.Name).Scan(&b.ID, &b.Kind, (*int64)(&b.Position), &b.Parked)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case b.Kind == books.KindLog || b.Position >= position:
		done = b.Position >= position
	default:
		done, err = p.appliedUpTo(ctx, b, position)
	}
	if done && (b.Parked > 0 || b.Kind == books.KindKafka) { // which may have parked it since
		err = p.notParked(ctx, position, p.apply.Books.SQL(parkedAtSQL), b.ID, int64(position))
	}
	return done, err
}

// appliedUpTo reports that a build which Kafka feeds has applied the event at a position and
// all before it. Mostly it is the last one that is waited for.
func (p *Projector) appliedUpTo(ctx context.Context, b books.Build, position es.Position) (done bool, err error) {
	c, before := p.apply.Comparison(), b
	before.Position = position - 1
	err = c.Each(ctx, before, position, nil, func(e *es.Recorded, applied bool) bool {
		done = applied || !p.apply.Def.Wants(e.Stream.Category)
		return done
	})
	if err != nil || !done {
		return false, err
	}
	err = c.Each(ctx, b, position, p.apply.Def.Categories, func(_ *es.Recorded, applied bool) bool {
		done = applied
		return done
	})
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

// parkedWhySQL finds why an event is parked: what its sequence begins with. A condition comes
// behind it. Bind: $1 build.
const parkedWhySQL = `
select h.category, h.stream_id, h.version, h.key, coalesce(h.error, '')
from {asof}.parked p
cross join lateral (
    select * from {asof}.parked h where h.build = p.build and h.category = p.category and h.stream_id = p.stream_id and h.source = p.source and h.key_hash = p.key_hash
    order by h.version limit 1) h
where p.build = $1`

// Bind: $1 build, $2 position.
const parkedAtSQL = parkedWhySQL + ` and p.position = $2 order by h.version, h.key limit 1`

// Bind: $1 build, $2 category, $3 stream, $4 version, $5 source.
const parkedOfSQL = parkedWhySQL + ` and p.category = $2 and p.stream_id = $3 and p.version = $4 and p.source = $5 order by h.version, h.key limit 1`

// notParked gives a [*ParkedError] for an event that is parked, as the statement finds it.
func (p *Projector) notParked(ctx context.Context, position es.Position, sql string, args ...any) error {
	e := &ParkedError{Projection: p.apply.Def.Name, Position: position}
	err := p.apply.Books.Pool().QueryRow(ctx, sql, args...).Scan(&e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version), &e.Key, &e.Reason)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	default:
		return e
	}
}
