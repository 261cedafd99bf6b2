package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/fault"
)

// ParkedEvent is an event, and a row that it touches, which a build has parked.
type ParkedEvent struct {
	Projection string
	Version    int              // of the build
	Build      int64            // that has it
	State      string           // of the build: [BuildLive], [BuildKept] or [BuildBuilding]
	Event      es.RecordedEvent // its payload and metadata come from ShowParked alone
	Source     string           // whose event it is, where the read model is fed from topics alone
	Key        string           // of the row; empty: the event as a whole
	Error      string           // empty: it waits behind an earlier one of its sequence
	Attempts   int              // how often it was tried
	First      time.Time        // parked
	Last       time.Time        // tried, or parked behind another
}

var (
	// ErrNotParked: no build of the projection has parked the event, or the sequence.
	ErrNotParked = errors.New("projections: not parked")
	// ErrWaits: the event is parked behind another of its sequence, which comes first.
	ErrWaits = errors.New("projections: the event waits behind another")
	// ErrAnotherProgram: the live build is of another version, or of another DDL, and only
	// a program that has these applies events to it.
	ErrAnotherProgram = errors.New("projections: the live build is another program's")
)

// parkedSQL reads what is parked. Bind: $1 names or null, $2 event or null, $3 with payload.
const parkedSQL = `
select b.name, b.version, b.id, b.status, p.event_id, p.category, p.stream_id, p.version, p.position, p.recorded_at, p.type, p.schema_version, p.content_type,
       case when $3 then p.metadata else '' end, case when $3 then p.data else '' end, p.source, p.key, coalesce(p.error, ''), p.attempts, p.first_at, p.last_at
from {asof}.parked p join {asof}.builds b on b.id = p.build
where ($1::text[] is null or b.name = any($1)) and ($2::uuid is null or p.event_id = $2)
order by b.name, case b.status when 'live' then 1 when 'building' then 2 else 3 end, b.id desc, p.position, p.key`

// ListParked returns what the builds of some projections have parked, of all when none is
// named: by name, the live build first, then by position; payloads and metadata are left
// out. It needs no definitions.
func ListParked(ctx context.Context, target Target, names ...string) ([]ParkedEvent, error) {
	if len(names) == 0 {
		names = nil
	}
	return readParked(ctx, target.Pool(), books.Of(target), names, nil, false)
}

// ShowParked returns an event that builds of a projection have parked, with its payload, for
// each build and row; [ErrNotParked] when none has.
func ShowParked(ctx context.Context, target Target, name string, event uuid.UUID) ([]ParkedEvent, error) {
	list, err := readParked(ctx, target.Pool(), books.Of(target), []string{name}, &event, true)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%w: %s has not parked event %s", ErrNotParked, name, event)
	}
	return list, err
}

func readParked(ctx context.Context, db pg.Querier, k books.Books, names []string, event *uuid.UUID, payload bool) ([]ParkedEvent, error) {
	rows, err := db.Query(ctx, k.SQL(parkedSQL), names, event, payload)
	if err != nil {
		return nil, fault.Explain("read what is parked", err)
	}
	list, err := pgx.CollectRows(rows, scanParked)
	return list, fault.Explain("read what is parked", err)
}

func scanParked(row pgx.CollectableRow) (ParkedEvent, error) {
	var p ParkedEvent
	var status string
	var metadata []byte
	e := &p.Event
	err := row.Scan(&p.Projection, &p.Version, &p.Build, &status, &e.ID, &e.Stream.Category, &e.Stream.ID, (*int64)(&e.Version), (*int64)(&e.Position), &e.RecordedAt, &e.Type, &e.Schema, &e.ContentType,
		&metadata, &e.Data, &p.Source, &p.Key, &p.Error, &p.Attempts, &p.First, &p.Last)
	if err == nil && len(metadata) > 0 {
		err = e.Metadata.UnmarshalBinary(metadata)
	}
	e.RecordedAt = e.RecordedAt.UTC()
	if p.State = status; status == books.Retired {
		p.State = BuildKept
	}
	return p, err
}

// Skipped is an event that a projection leaves out.
type Skipped struct {
	Projection string
	Event      uuid.UUID
	Key        string // of the row that lacks it; empty: all of them
	Reason     string
	At         time.Time
}

// skippedSQL reads what is left out. Bind: $1 names or null.
const skippedSQL = `
select name, event_id, key, reason, skipped_at from {asof}.skips where $1::text[] is null or name = any($1) order by name, skipped_at, event_id, key`

// ListSkipped returns the events that some projections leave out, of all when none is named.
func ListSkipped(ctx context.Context, target Target, names ...string) ([]Skipped, error) {
	if len(names) == 0 {
		names = nil
	}
	rows, err := target.Pool().Query(ctx, books.Of(target).SQL(skippedSQL), names)
	if err != nil {
		return nil, fault.Explain("read what is skipped", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Skipped])
	return list, fault.Explain("read what is skipped", err)
}
