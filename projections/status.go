package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// Status is how a projection stands.
type Status struct {
	Name     string
	Version  int    // of the live read model; of the one being built when none is live
	Build    int64  // of the live read model; zero when none is live
	Source   string // "log", or "kafka topic" and its name; when Kafka cannot be read, why
	Position es.Position
	// Lag counts the events of the log that are not applied; a million means at
	// least that, and -1 that the log is in another database than List was given. Behind
	// is how long ago the first of them was recorded.
	Lag    int64
	Behind time.Duration
	// Skipped counts events of types that the codec does not know.
	Skipped int64
	// Foreign counts messages in the projection's Kafka topics that are no events of
	// this store's log. They were skipped.
	Foreign int64
	// Failure is what stopped the projector last; empty when it runs.
	Failure  string
	Building *Building // nil when nothing is being built
	Retired  int       // the version that is kept for Rollback; zero when none is
}

// Building is a rebuild under way, or one that was stopped.
type Building struct {
	Version     int
	Done, Total int64 // events of the log; Total counts holes too
	Active      bool  // false: stopped, the next Rebuild goes on from there
}

// statusSQL reads the builds by name; null means all. Bind: $1 name.
const statusSQL = `
select b.id, b.name, b.version, b.status, b.kind, b.source, l.position, l.events, b.total, l.skipped, b.foreign_messages, coalesce(b.failure, ''), coalesce(b.lease_until > clock_timestamp(), false)
from {asof}.builds b join {asof}.lanes l on l.build = b.id and l.lane = 0
where $1::text is null or b.name = $1
order by b.name, case b.status when 'live' then 1 when 'building' then 2 else 3 end, b.updated_at desc`

// maxLag is how far a lag is counted.
const maxLag = 1_000_000

// lagSQL counts what a build that Kafka feeds has not applied: after its position it has
// applied some. Bind: $1 build, $2 position, $3 categories or null, $4 limit.
const lagSQL = `
select count(*), coalesce(extract(epoch from clock_timestamp() - min(recorded_at)), 0)::float8
from (select e.recorded_at from {asof}.events e
      left join {asof}.dedup s on s.build = $1 and s.category = e.category and s.stream_id = e.stream_id
      where e.position > $2 and e.version > coalesce(s.version, 0) and ($3::text[] is null or e.category = any($3))
      order by e.position limit $4) missing`

type statusRow struct {
	ID                             int64
	Name                           string
	Version                        int
	Status, Kind, Source           string
	Position, Done, Total, Skipped int64
	Foreign                        int64
	Failure                        string
	Leased                         bool
}

// Status returns how this projection stands; [ErrNotBuilt] when it was never run.
func (p *Projector) Status(ctx context.Context) (Status, error) {
	if p.invalid != nil {
		return Status{}, p.invalid
	}
	list, err := statuses(ctx, p.target, p.store, &p.def.name, p.def.categories)
	if err != nil {
		return Status{}, err
	}
	if len(list) == 0 {
		return Status{}, fmt.Errorf("%w: %s: run the projector or rebuild", ErrNotBuilt, p.def.name)
	}
	return list[0], nil
}

// List returns how all projections of a store, or in any other database, stand, by name.
// It needs no definitions; for a projection of some categories Lag may count events of
// others.
func List(ctx context.Context, target Target) ([]Status, error) {
	store, _ := target.(*pgstore.Store)
	return statuses(ctx, target, store, nil, nil)
}

func statuses(ctx context.Context, target Target, store *pgstore.Store, name *string, categories []string) ([]Status, error) {
	rows, err := target.Pool().Query(ctx, expand(target, statusSQL), name)
	if err != nil {
		return nil, explain("read the status", err)
	}
	builds, err := pgx.CollectRows(rows, pgx.RowToStructByPos[statusRow])
	if err != nil {
		return nil, explain("read the status", err)
	}
	list := []Status{}
	for _, b := range builds {
		if len(list) == 0 || list[len(list)-1].Name != b.Name {
			list = append(list, Status{Name: b.Name, Version: b.Version, Failure: b.Failure})
		}
		s := &list[len(list)-1]
		switch b.Status {
		case live:
			s.Build, s.Source, s.Position, s.Skipped, s.Foreign = b.ID, b.Source, es.Position(b.Position), b.Skipped, b.Foreign
			if err := s.measure(ctx, target, store, b.Kind, categories); err != nil {
				return nil, err
			}
		case building:
			s.Building = &Building{Version: b.Version, Done: b.Done, Total: b.Total, Active: b.Leased}
		case retired:
			if s.Retired == 0 {
				s.Retired = b.Version
			}
		}
	}
	return list, nil
}

func (s *Status) measure(ctx context.Context, target Target, store *pgstore.Store, kind string, categories []string) error {
	switch {
	case store == nil:
		s.Lag = -1
		return nil
	case kind == kindLog:
		extent, err := store.Beyond(ctx, s.Position, maxLag, categories...)
		s.Lag, s.Behind = extent.Events, extent.Age
		return err
	}
	var seconds float64
	err := target.Pool().QueryRow(ctx, expand(target, lagSQL), s.Build, int64(s.Position), categories, maxLag).Scan(&s.Lag, &seconds)
	if err != nil {
		return explain("measure the lag of "+s.Name, err)
	}
	s.Behind = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	return nil
}

// WaitFor waits until the live read model has applied every event up to a position,
// such as that of an event which the caller has just appended. It waits as long as
// ctx lets it, also for a read model that is not built yet, and for a position that no
// event has yet.
func (p *Projector) WaitFor(ctx context.Context, position es.Position) error {
	if p.invalid != nil {
		return p.invalid
	}
	for began := time.Now(); ; {
		done, err := p.reached(ctx, position)
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
select b.id, b.kind, l.position
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
	err = p.target.Pool().QueryRow(ctx, p.q(reachedSQL), p.def.name).Scan(&b.ID, &b.Kind, (*int64)(&b.Position))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil || b.Kind == kindLog || b.Position >= position:
		return err == nil && b.Position >= position, err
	}
	err = p.target.Pool().QueryRow(ctx, p.q(appliedUpToSQL), b.ID, int64(b.Position), int64(position), p.def.categories).Scan(&done)
	return done, err
}
