package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/es"
)

// appendFrom is what both append statements select their first event from.
//
// clock: one clock read for all events, and before it the shared lock, so the lock
// is taken before the insert draws a position. ("offset 0" keeps the planner from
// merging the steps; it does not drop a volatile function.) The clock comes after
// the lock, and so does the settled moment, which is read outside of the statement's
// snapshot: whoever has raised that and then sees no older lock knows that nothing
// more will be recorded before it, wherever the clock goes.
// last: the event before the first new one, and proof that it was visible when the
// statement began; hence its position is lower than any that is drawn here.
//
// Subqueries, since each CTE would cost some microseconds a statement.
//
// Two appends that want the same version meet in the unique index: the second
// waits for the first's commit and then does nothing, which leaves the caller's
// transaction usable.
const appendFrom = `
from (
    select greatest(clock_timestamp(), timestamptz 'epoch' + pg_sequence_last_value({moment}) * interval '1 microsecond') as now
    from (select pg_advisory_xact_lock_shared({lock}) offset 0) as lock
    offset 0
) as clock left join (
    select version, recorded_at from {asof}.events
    where category = $1 and stream_id = $2 {last}
) as last on true
where {condition}`

// drawn draws the position of the first event. A position at or below one that is in
// the log comes from a sequence that was set back, or is not the log's own: then
// nothing is appended.
const drawn = `
from (select nextval({sequence}) as position, coalesce(last.version, 0) + 1 as version, greatest(clock.now, last.recorded_at) as recorded_at` + appendFrom + `
    offset 0
) as drawn
where not exists (select from {asof}.events e where e.position >= drawn.position)`

// appendOneSQL appends one event. Bind: $1 category, $2 stream id, $3 expected
// version or null, $4 event id, $5 type, $6 schema version, $7 content type or
// null, $8 data, $9 metadata. No row back: the event was not appended.
const appendOneSQL = `
insert into {asof}.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
select position, $1, $2, version, $4::uuid, $5::text, $6::int, $7::text, $8::bytea, $9::bytea, recorded_at` + drawn + `
on conflict do nothing
returning position, version, recorded_at`

// appendManySQL appends several events. Bind: as appendOneSQL, with arrays from $4
// on. The first event alone meets rivals: in a multi-row "do nothing" the first
// could lose to a rival and the second still be inserted. Positions are drawn from
// the sorted rows, so they follow the versions.
const appendManySQL = `
with first as (
    insert into {asof}.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
    select position, $1, $2, version, ($4::uuid[])[1], ($5::text[])[1], ($6::int[])[1], ($7::text[])[1],
           ($8::bytea[])[1], ($9::bytea[])[1], recorded_at` + drawn + `
    on conflict do nothing
    returning position, version, recorded_at
), rest as (
    insert into {asof}.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
    select nextval({sequence}), $1, $2, v, id, type, schema, content_type, data, metadata, now
    from (
        select first.version + n - 1 as v, u.*, first.recorded_at as now
        from first, unnest($4::uuid[], $5::text[], $6::int[], $7::text[], $8::bytea[], $9::bytea[])
            with ordinality as u(id, type, schema, content_type, data, metadata, n)
        where n > 1
        order by n
    ) as following
    returning position, version, recorded_at
)
select position, version, recorded_at from first
union all
select position, version, recorded_at from rest
order by version`

// lockStreamSQL makes the appends of one stream wait for each other, once a race
// was lost. It must be a statement of its own: the append's snapshot is to be
// taken after the wait. Bind: $1 category, $2 stream id. The two-key form cannot
// meet the one-key lock of the log.
const lockStreamSQL = `select pg_advisory_xact_lock({events}::oid::int, hashtext($1::text || '/' || $2::text))`

// appender is one append.
type appender struct {
	store  *Store
	db     db
	inTx   bool // of the caller's
	stream es.StreamID
	want   es.Expected
	events []es.EventData
}

// prepare refuses what no store accepts, and what this one does not. It asks the
// database nothing about a category that is known.
func (a *appender) prepare(ctx context.Context) error {
	if err := a.store.ready(ctx, a.db); err != nil {
		return err
	}
	if err := es.ValidateAppend(a.stream, a.want, a.events); err != nil {
		return err
	}
	if err := a.store.mayAppend(ctx, a.db); err != nil {
		return err
	}
	if err := a.store.register(ctx, a.db, a.stream, a.inTx); err != nil {
		return err
	}
	return a.store.keepContracts(ctx, a.db, a.events, a.inTx)
}

// run appends in one round trip. When the events were not appended, it finds out
// why, in a second one: errLostRace means that want allows to try again.
func (a *appender) run(ctx context.Context) ([]es.RecordedEvent, error) {
	recorded, err := a.insert(ctx)
	if err != nil {
		return nil, explain("append to "+a.stream.String(), err)
	}
	if len(recorded) > 0 {
		return recorded, nil
	}
	return a.lost(ctx)
}

// runAlone appends in a transaction, with the stream locked against other appends
// that lost a race. Appends that did not may still win, so it tries again.
func (a *appender) runAlone(ctx context.Context) ([]es.RecordedEvent, error) {
	if err := a.lock(ctx); err != nil {
		return nil, explain("append to "+a.stream.String(), err)
	}
	for {
		if recorded, err := a.run(ctx); !errors.Is(err, errLostRace) {
			return recorded, err
		}
	}
}

func (a *appender) lock(ctx context.Context) error {
	rows, err := a.db.Query(ctx, a.store.sql.lockStream, a.stream.Category, a.stream.ID)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// insert returns no events when the database appended none.
func (a *appender) insert(ctx context.Context) ([]es.RecordedEvent, error) {
	kind, want := kindOf(a.want)
	if len(a.events) == 1 {
		e := &a.events[0]
		c := columnsOf(e)
		rows, err := a.db.Query(ctx, a.store.sql.one[kind], a.stream.Category, a.stream.ID, want,
			c.id, e.Type, c.schema, c.contentType, c.data, c.metadata)
		return a.recorded(rows, err)
	}
	n := len(a.events)
	ids, types, schemas := make([]pgtype.UUID, n), make([]string, n), make([]int32, n)
	contentTypes, data, metadata := make([]*string, n), make([][]byte, n), make([][]byte, n)
	for i := range a.events {
		c := columnsOf(&a.events[i])
		ids[i], types[i], schemas[i], contentTypes[i], data[i], metadata[i] = c.id, a.events[i].Type, c.schema, c.contentType, c.data, c.metadata
	}
	rows, err := a.db.Query(ctx, a.store.sql.many[kind], a.stream.Category, a.stream.ID, want,
		ids, types, schemas, contentTypes, data, metadata)
	return a.recorded(rows, err)
}

// columns are the values of an event's row that are not stored as they are given.
type columns struct {
	id             pgtype.UUID
	schema         int32
	contentType    *string
	data, metadata []byte
}

func columnsOf(e *es.EventData) columns {
	c := columns{id: pgtype.UUID{Bytes: e.ID, Valid: true}, schema: int32(max(e.Schema, 1)), data: e.Data}
	if e.ContentType != "" && e.ContentType != es.JSONContentType {
		c.contentType = &e.ContentType
	}
	if c.data == nil {
		c.data = []byte{}
	}
	c.metadata, _ = e.Metadata.MarshalBinary() // ValidateAppend has encoded it once
	return c
}

// recorded joins the events with what the database gave them.
func (a *appender) recorded(rows pgx.Rows, err error) ([]es.RecordedEvent, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []es.RecordedEvent
	for rows.Next() {
		if list == nil {
			list = make([]es.RecordedEvent, 0, len(a.events))
		}
		var position, version int64
		var at time.Time
		if err := rows.Scan(&position, &version, &at); err != nil {
			return nil, err
		}
		list = append(list, record(&a.events[len(list)], a.stream, position, version, at))
	}
	return list, rows.Err()
}

func record(e *es.EventData, stream es.StreamID, position, version int64, at time.Time) es.RecordedEvent {
	contentType := e.ContentType
	if contentType == "" {
		contentType = es.JSONContentType
	}
	return es.RecordedEvent{
		Recorded: es.Recorded{
			ID: e.ID, Type: e.Type, Schema: max(e.Schema, 1), Stream: stream,
			Version: es.Version(version), Position: es.Position(position),
			RecordedAt: at.UTC(), Metadata: e.Metadata,
		},
		ContentType: contentType, Data: e.Data,
	}
}
