-- The read side: which builds of which projection exist, how far each has got.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up

-- One row for every set of tables that a projection was built into. Its row lock
-- is what makes one batch at a time: whoever changes a build's tables holds it.
create table projection_builds (
    id          bigint      generated always as identity primary key,
    name        text        not null,              -- of the projection, and of its live schema
    version     integer     not null check (version > 0),
    status      text        not null check (status in ('building', 'live', 'retired')),
    schema_name text        not null unique,       -- where the tables are
    fingerprint text        not null,              -- of the DDL and the categories
    source      text        not null default 'log',
    position    bigint      not null default 0,    -- every event up to here is applied; later ones may be
    events      bigint      not null default 0,    -- of the log, read up to position
    total       bigint      not null default 0,    -- while building: of the log, when the rebuild began
    skipped     bigint      not null default 0,    -- events of a type that the codec does not know
    failure     text,                              -- what stopped the projector last; null when it runs
    foreign_messages bigint not null default 0,    -- in its Kafka topics: skipped, as the log does not have them
    identity    uuid        not null default gen_random_uuid(), -- part of the name of its consumer group
    epoch       bigint      not null default 0,    -- of the lease: an older rebuild can write no more
    lease_until timestamptz,                       -- while building: another may take over after this
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp()
);
create unique index projection_builds_live on projection_builds (name) where status = 'live';
create unique index projection_builds_building on projection_builds (name) where status = 'building';

-- The dedup table: the last version of each stream that a build has applied. Not
-- tied to projection_builds by a foreign key, whose check costs a third of a batch.
create table projection_streams (
    build     bigint not null,
    category  text   not null,
    stream_id text   not null,
    version   bigint not null,
    primary key (build, category, stream_id)
) with (
    fillfactor = 80,                               -- room for updates in place
    autovacuum_analyze_threshold = 10000,          -- as for events: see there
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_threshold = 10000
);

-- How far a build has read each partition of its Kafka topics. Kafka's own commits
-- are not used: these change in one transaction with the read model.
create table projection_partitions (
    build        bigint  not null,
    topic        text    not null,
    partition    integer not null,
    next_offset  bigint  not null,                 -- of the first message that is not applied
    position     bigint  not null,                 -- in the log, of the last that is
    primary key (build, topic, partition)
);

-- +goose Down
-- Read models whose books are gone would be nobody's: no program could tell them from a
-- schema of somebody else, and none could build them again.
-- +goose StatementBegin
do $$
declare names text := (select string_agg(distinct name, ', ') from projection_builds);
begin
    if names is not null then
        raise exception 'read models stand, and their books would be gone: %: migrate up again, drop each of them (drop NAME), and then go down', names;
    end if;
end
$$;
-- +goose StatementEnd
drop table projection_partitions;
drop table projection_streams;
drop table projection_builds;
