-- What a projection could not apply is set aside, with what comes after it, and the rest
-- goes on.
--
-- Run online: what is new is empty, and a column with a constant default changes no row.

-- +goose Up

-- One row for every event, and row of the read model that it touches, which is not applied.
-- It belongs to its build: another version of the projection tries by itself.
create table parked (
    build          bigint      not null,
    category       text        not null,
    stream_id      text        not null,
    source         text        not null,           -- whose event it is, where no log says it
    key            text        not null,           -- of the row; empty: the whole event
    key_hash       bytea       not null,           -- SHA-256, as a key may be too long for an index
    version        bigint      not null,           -- of the stream: a sequence goes on in this order
    position       bigint      not null,
    event_id       uuid        not null,
    type           text        not null,
    schema_version integer     not null,
    content_type   text        not null,
    recorded_at    timestamptz not null,
    metadata       bytea       not null,
    data           bytea       not null,
    error          text,                           -- null: it waits behind an earlier one
    attempts       integer     not null,
    first_at       timestamptz not null default clock_timestamp(), -- parked
    last_at        timestamptz not null default clock_timestamp(), -- tried
    primary key (build, category, stream_id, source, key_hash, version)
);
alter table parked alter column data set storage external; -- as in the log
create index parked_position on parked (build, position);

alter table lanes add column parked bigint not null default 0; -- rows of parked

-- Events that a projection leaves out, in every build to come.
create table skips (
    name       text        not null,               -- of the projection
    event_id   uuid        not null,
    key        text        not null default '',    -- of the row that lacks it; empty: all of them
    key_hash   bytea       not null default sha256(''),               -- SHA-256
    reason     text        not null,
    skipped_at timestamptz not null default clock_timestamp(),
    primary key (name, event_id, key_hash)
);

-- +goose Down
drop table skips;
alter table lanes drop column parked;
drop table parked;
