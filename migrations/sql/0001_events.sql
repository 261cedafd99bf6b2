-- The event log, and how far it is settled.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up

-- One row an event. The log is the outbox: the relay reads it in position order.
-- A stream has no row of its own; its version is its last event's.
create table events (
    -- An append draws it from events_position under its shared lock (see
    -- es/pgstore). It has no default: an insert without the lock is a mistake, as
    -- readers could miss its event for ever.
    position       bigint      primary key,
    category       text        not null,
    stream_id      text        not null,
    version        bigint      not null check (version > 0),
    event_id       uuid        not null,
    type           text        not null,
    schema_version integer     not null,
    content_type   text,                   -- null: application/json
    data           bytea       not null,   -- the payload, to the letter
    metadata       bytea       not null,   -- JSON, or empty when there is none
    recorded_at    timestamptz not null,   -- never decreases within a stream
    constraint events_stream_version unique (category, stream_id, version),
    constraint events_event_id unique (event_id)
) with (
    -- A connection keeps its plans. Those that it made when statistics said that the
    -- table is tiny read all of it for every append, however far it has grown by then;
    -- without statistics Postgres expects a table to grow. So there are none before
    -- there is much.
    autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_threshold = 10000
);

-- It must not cache: with a cache, order of positions is not order of drawing.
create sequence events_position as bigint cache 1 owned by events.position;

-- One entry a stream: counts and lists streams without a look at every event.
create index events_streams on events (category, stream_id) where version = 1;

comment on table events is 'Asof: the event log. Append through the library only: it takes the lock that readers rely on.';

-- Events are immutable, whoever asks.
-- +goose StatementBegin
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'events are immutable: % of %.% is refused', tg_op, tg_table_schema, tg_table_name
        using errcode = 'restrict_violation',
              hint = 'Record a new event that corrects the old one.';
end
$$;
-- +goose StatementEnd

create trigger events_immutable before update or delete or truncate on events
    for each statement execute function refuse_change();

-- Below this position holes are final. It only grows; readers start from it, so
-- none waits over old holes.
create table settled_head (
    only_row boolean primary key default true check (only_row),
    position bigint not null
);
insert into settled_head (position) values (0);

-- For people: payloads and metadata as jsonb. Rows whose payload is not JSON show
-- null. It is slow on large logs; services read through the library.
create view events_json as
select position, category, stream_id, version, event_id, type, schema_version,
       case when content_type is null then convert_from(data, 'UTF8')::jsonb end as data,
       case when metadata = ''::bytea then '{}'::jsonb else convert_from(metadata, 'UTF8')::jsonb end as metadata,
       recorded_at
from events;

-- +goose Down
drop view events_json;
drop table settled_head;
drop table events;
drop function refuse_change();
