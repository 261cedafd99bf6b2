package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
)

// appendFrom is what both append statements select their first event from.
//
// clock: one clock read for all events, and before it the shared lock, so the lock
// is taken before the insert draws a position. ("offset 0" keeps the planner from
// merging the steps; it does not drop a volatile function.) The clock comes after
// the lock: so a reader that sees the clock past T and then no older lock knows
// that nothing more will be recorded at or before T.
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
    select clock_timestamp() as now
    from (select pg_advisory_xact_lock_shared(LOCK_KEY) offset 0) as lock
    offset 0
) as clock left join (
    select version, recorded_at from SCHEMA.events
    where category = $1 and stream_id = $2 LAST
) as last on true
where CONDITION`

// appendOneSQL appends one event. Bind: $1 category, $2 stream id, $3 expected
// version or null, $4 event id, $5 type, $6 schema version, $7 content type or
// null, $8 data, $9 metadata. No row back: the event was not appended.
const appendOneSQL = `
insert into SCHEMA.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
select nextval(SEQUENCE), $1, $2, coalesce(last.version, 0) + 1, $4, $5, $6, $7, $8, $9, greatest(clock.now, last.recorded_at)` + appendFrom + `
on conflict do nothing
returning position, version, recorded_at`

// appendManySQL appends several events. Bind: as appendOneSQL, with arrays from $4
// on. The first event alone meets rivals: in a multi-row "do nothing" the first
// could lose to a rival and the second still be inserted. Positions are drawn from
// the sorted rows, so they follow the versions.
const appendManySQL = `
with first as (
    insert into SCHEMA.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
    select nextval(SEQUENCE), $1, $2, coalesce(last.version, 0) + 1, ($4::uuid[])[1], ($5::text[])[1], ($6::int[])[1], ($7::text[])[1],
           ($8::bytea[])[1], ($9::bytea[])[1], greatest(clock.now, last.recorded_at)` + appendFrom + `
    on conflict do nothing
    returning position, version, recorded_at
), rest as (
    insert into SCHEMA.events (position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at)
    select nextval(SEQUENCE), $1, $2, v, id, type, schema, content_type, data, metadata, now
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
const lockStreamSQL = `select pg_advisory_xact_lock(EVENTS_NAME::regclass::oid::int, hashtext($1 || '/' || $2))`

// appender is one append.
type appender struct {
	sql    *statements
	db     db
	stream es.StreamID
	want   es.Expected
	events []es.EventData
}

// run appends in one round trip. When the events were not appended, it finds out
// why, in a second one: errLostRace means that want allows to try again.
func (a *appender) run(ctx context.Context) ([]es.RecordedEvent, error) {
	if err := es.ValidateAppend(a.stream, a.want, a.events); err != nil {
		return nil, err
	}
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
	rows, err := a.db.Query(ctx, a.sql.lockStream, a.stream.Category, a.stream.ID)
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
		rows, err := a.db.Query(ctx, a.sql.one[kind], a.stream.Category, a.stream.ID, want,
			c.id, e.Type, c.schema, c.contentType, c.data, c.metadata)
		return a.recorded(rows, err)
	}
	n := len(a.events)
	ids, types, schemas := make([][16]byte, n), make([]string, n), make([]int32, n)
	contentTypes, data, metadata := make([]*string, n), make([][]byte, n), make([][]byte, n)
	for i := range a.events {
		c := columnsOf(&a.events[i])
		ids[i], types[i], schemas[i], contentTypes[i], data[i], metadata[i] = c.id, a.events[i].Type, c.schema, c.contentType, c.data, c.metadata
	}
	rows, err := a.db.Query(ctx, a.sql.many[kind], a.stream.Category, a.stream.ID, want,
		ids, types, schemas, contentTypes, data, metadata)
	return a.recorded(rows, err)
}

// columns are the values of an event's row that are not stored as they are given.
type columns struct {
	id             [16]byte
	schema         int32
	contentType    *string
	data, metadata []byte
}

func columnsOf(e *es.EventData) columns {
	c := columns{id: e.ID, schema: int32(max(e.Schema, 1)), data: e.Data}
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

// lostSQL tells why an append did nothing: the stream's version, and where its
// event ids stand. Bind: $1 category, $2 stream id, $3 event ids. Outside of the
// hot path.
const lostSQL = `
select (select coalesce(max(version), 0) from SCHEMA.events where category = $1 and stream_id = $2),
       e.event_id, e.category, e.stream_id, e.position, e.version, e.recorded_at
from (select) as always left join SCHEMA.events e on e.event_id = any($3)
order by e.version`

func (a *appender) lost(ctx context.Context) ([]es.RecordedEvent, error) {
	ids := make([][16]byte, len(a.events))
	for i := range a.events {
		ids[i] = a.events[i].ID
	}
	rows, err := a.db.Query(ctx, a.sql.lost, a.stream.Category, a.stream.ID, ids)
	if err != nil {
		return nil, explain("append to "+a.stream.String(), err)
	}
	defer rows.Close()
	var got int64
	var found []earlier
	for rows.Next() {
		var e earlier
		if err := rows.Scan(&got, &e.id, &e.category, &e.stream, &e.position, &e.version, &e.at); err != nil {
			return nil, explain("append to "+a.stream.String(), err)
		}
		if e.id != nil {
			found = append(found, e)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, explain("append to "+a.stream.String(), err)
	}
	if len(found) > 0 {
		return a.same(found)
	}
	if a.want.Matches(es.Version(got)) { // it became true since
		return nil, errLostRace
	}
	return nil, &es.ConflictError{Stream: a.stream, Want: a.want, Got: es.Version(got)}
}

// earlier is an event of the log that has one of the ids; null when there is none.
type earlier struct {
	id                *uuid.UUID
	category, stream  *string
	position, version *int64
	at                *time.Time
}
