package projections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections/internal/apply"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// Status is how a projection stands.
type Status struct {
	Name    string
	Version int    // of the live read model; of the one being built when none is live
	Build   int64  // of the live read model; zero when none is live
	Source  string // "log", or "kafka topic" and its name; when Kafka cannot be read, why
	// Position is up to where every event of the log is applied. With Kafka some later ones
	// are, too; of topics alone it stays zero.
	Position es.Position
	// Lag counts the events of the log that are not applied; a million means at
	// least that, and -1 that the log is in another database than List was given. Behind
	// is how long ago the first of them was recorded; zero where Lag is -1. Without a log, Lag
	// counts the messages of the topics that are not read, and is -1 where Kafka is not asked,
	// as by List, or does not answer within two seconds; Behind is zero then.
	Lag    int64
	Behind time.Duration
	// Skipped counts events of types that the codec does not know.
	Skipped int64
	// Foreign counts messages in the projection's Kafka topics that are no events of
	// this store's log, or with topics alone no events, or not of the source that
	// WithEventSource names. They were skipped.
	Foreign int64
	// Lanes counts the partitions that processes apply side by side, as they may where Order
	// is OneStream; zero where one batch is applied at a time.
	Lanes int
	// Parked counts what the live read model lacks, since it could not be applied or comes
	// after what could not: an event, or each row of it. See [ListParked].
	Parked int64
	// Gaps are the streams of a read model that is fed from Kafka alone which lack events;
	// nil when none does.
	Gaps *Gaps
	// Failure is what stopped the projector last; empty when it runs.
	Failure  string
	Paused   *Paused   // nil when it is not
	Building *Building // nil when nothing is being built
	Retired  int       // the version that is kept for Rollback; zero when none is
}

// Building is a rebuild under way, or one that was stopped.
type Building struct {
	Version     int
	Done, Total int64 // events of the log; Total counts holes too. With topics alone both are zero
	Active      bool  // false: stopped, the next Rebuild goes on from there
}

// Gaps says how many streams of a read model lack events: what comes after those is not
// applied.
type Gaps struct {
	Streams int64
	Lost    int64     // of these, what came after is not kept by Kafka any more: only a rebuild heals them
	Since   time.Time // when the oldest was noticed
}

// statusSQL reads the builds by name; null means all. Bind: $1 name.
const statusSQL = `
select b.id, b.name, b.version, b.status, b.kind, b.source, l.position, l.events, b.total, n.skipped, n.parked, n.foreign_messages, n.lanes, coalesce(b.failure, ''), coalesce(b.lease_until > clock_timestamp(), false), coalesce(s.reason, ''), s.since, g.streams, g.lost, g.since
from {asof}.builds b join {asof}.lanes l on l.build = b.id and l.lane = 0 left join {asof}.paused s on s.name = b.name
join lateral (select sum(skipped)::bigint skipped, sum(parked)::bigint parked, sum(foreign_messages)::bigint foreign_messages, count(*) filter (where lane > 0) lanes from {asof}.lanes where build = b.id) n on true
left join lateral (select count(distinct (source, category, stream_id)) streams, count(distinct (source, category, stream_id)) filter (where lost) lost, min(since) since from {asof}.gaps where build = b.id) g on b.status = 'live'
where $1::text is null or b.name = $1
order by b.name, case b.status when 'live' then 1 when 'building' then 2 else 3 end, b.updated_at desc`

// maxLag is how far a lag is counted.
const maxLag = 1_000_000

type statusRow struct {
	ID                             int64
	Name                           string
	Version                        int
	Status, Kind, Source           string
	Position, Done, Total, Skipped int64
	Parked, Foreign, Lanes         int64
	Failure                        string
	Leased                         bool
	Pause                          string
	PausedSince                    *time.Time
	Gaps, Lost                     *int64
	GapsSince                      *time.Time
}

func (b *statusRow) gaps() *Gaps {
	if b.GapsSince == nil {
		return nil
	}
	return &Gaps{Streams: *b.Gaps, Lost: *b.Lost, Since: *b.GapsSince}
}

func (b *statusRow) paused() *Paused {
	if b.PausedSince == nil {
		return nil
	}
	return &Paused{Reason: b.Pause, Since: *b.PausedSince}
}

// Status returns how this projection stands; [ErrNotBuilt] when it was never run.
func (p *Projector) Status(ctx context.Context) (Status, error) {
	if p.invalid != nil {
		return Status{}, p.invalid
	}
	list, err := statuses(ctx, p.apply.Books, p.apply.Log, &p.apply.Def.Name, p.apply.Def.Categories)
	if err != nil {
		return Status{}, err
	}
	if len(list) == 1 && p.apply.Log == nil {
		list[0].Lag = p.feed.Unread(ctx, p.topics(), list[0].Build)
	}
	if len(list) == 0 {
		return Status{}, fmt.Errorf("%w: %s: run the projector or rebuild", fault.ErrNotBuilt, p.apply.Def.Name)
	}
	return list[0], nil
}

// List returns how all projections of a store, or in any other database, stand, by name.
// It needs no definitions; for a projection of some categories Lag may count events of
// others.
func List(ctx context.Context, target Target) ([]Status, error) {
	store, _ := target.(*pgstore.Store)
	return statuses(ctx, books.Of(target), store, nil, nil)
}

func statuses(ctx context.Context, k books.Books, store *pgstore.Store, name *string, categories []string) ([]Status, error) {
	rows, err := k.Pool().Query(ctx, k.SQL(statusSQL), name)
	if err != nil {
		return nil, fault.Explain("read the status", err)
	}
	builds, err := pgx.CollectRows(rows, pgx.RowToStructByPos[statusRow])
	if err != nil {
		return nil, fault.Explain("read the status", err)
	}
	list := []Status{}
	for _, b := range builds {
		if len(list) == 0 || list[len(list)-1].Name != b.Name {
			list = append(list, Status{Name: b.Name, Version: b.Version, Failure: b.Failure, Paused: b.paused()})
		}
		s := &list[len(list)-1]
		switch b.Status {
		case books.Live:
			s.Gaps = b.gaps()
			s.Build, s.Source, s.Position, s.Skipped, s.Parked, s.Foreign, s.Lanes = b.ID, b.Source, es.Position(b.Position), b.Skipped, b.Parked, b.Foreign, int(b.Lanes)
			if err := s.measure(ctx, k, store, b.Kind, categories); err != nil {
				return nil, err
			}
		case books.Building:
			s.Building = &Building{Version: b.Version, Done: b.Done, Total: b.Total, Active: b.Leased}
		case books.Retired:
			if s.Retired == 0 {
				s.Retired = b.Version
			}
		}
	}
	return list, nil
}

func (s *Status) measure(ctx context.Context, k books.Books, store *pgstore.Store, kind string, categories []string) error {
	switch {
	case store == nil || kind == books.KindTopic:
		s.Lag = -1
		return nil
	case kind == books.KindLog:
		extent, err := store.Beyond(ctx, s.Position, maxLag, categories...)
		s.Lag, s.Behind = extent.Events, extent.Age
		return err
	}
	b := books.Build{ID: s.Build, Kind: kind, Position: s.Position}
	return s.measureKafka(ctx, apply.Comparison{Books: k, Log: store}, b, categories)
}

// measureKafka counts what a build that Kafka feeds has not applied: after its position it has
// applied some.
func (s *Status) measureKafka(ctx context.Context, c apply.Comparison, b books.Build, categories []string) error {
	reach, err := apply.Reach(ctx, c.Books, c.Books.Pool(), b)
	if err != nil {
		return err
	}
	between, first, err := c.Unapplied(ctx, b, reach.Position, categories)
	if err != nil {
		return err
	}
	beyond, err := c.Log.Beyond(ctx, reach.Position, max(maxLag-between, 0), categories...)
	if err != nil {
		return err
	}
	s.Lag, s.Behind = min(between+beyond.Events, maxLag), beyond.Age
	if between > 0 {
		oldest, err := c.Log.Beyond(ctx, first-1, 1, categories...)
		if err != nil {
			return err
		}
		s.Behind = oldest.Age
	}
	return nil
}
