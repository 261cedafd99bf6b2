-- The books of the read side anew, in tables of other names: a program of before finds
-- none of its own, and fails rather than apply events twice.
--
-- Stop the projectors before; those of the new program go on where they were. It takes
-- about a second a million events for each projection, and locks nothing else.

-- +goose Up

-- One row for every set of tables that a projection was built into. Its row lock
-- is what makes one batch at a time: whoever changes a build's tables holds it.
create table builds (
    id          bigint      generated always as identity primary key,
    name        text        not null,              -- of the projection, and of its live schema
    version     integer     not null check (version > 0),
    status      text        not null check (status in ('building', 'live', 'retired')),
    schema_name text        not null unique,       -- where the tables are
    fingerprint text        not null,              -- of the DDL and the categories
    made        text[],                            -- what stood on the tables when the DDL had made them; null: not known
    program     text        not null default '',   -- that filled it: another one does not go on with what is building
    kind        text        not null default 'log' check (kind in ('log', 'kafka')), -- of source: how it knows what is applied
    source      text        not null default 'log', -- in words, for people
    life        uuid,                              -- of the store that it was filled from
    total       bigint      not null default 0,    -- while building: events of the log when the rebuild began
    failure     text,                              -- what stopped the projector last; null when it runs
    foreign_messages bigint not null default 0,    -- in its Kafka topics: skipped, as the log does not have them
    identity    uuid        not null default gen_random_uuid(), -- part of the name of its consumer group
    epoch       bigint      not null default 0,    -- of the lease: an older rebuild can write no more
    lease_until timestamptz,                       -- while building: another may take over after this
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp()
);
create unique index builds_live on builds (name) where status = 'live';
create unique index builds_building on builds (name) where status = 'building';

-- How far each lane of a build has got: every event of the lane up to here is applied.
-- Of a build of kind kafka, later ones may be too.
create table lanes (
    build    bigint  not null,
    lane     integer not null,                     -- 0 is the only one yet
    position bigint  not null default 0,
    event_id uuid,                                 -- of the event at position; null when it is not known
    counter  bigint  not null default 0,           -- every transaction that changes the tables or the books raises it
    events   bigint  not null default 0,           -- of the log, read up to position
    skipped  bigint  not null default 0,           -- of a type that the codec does not know
    primary key (build, lane)
) with (fillfactor = 50);

-- Which events a build has applied, as sums that are compared with the log's.
create table sums (
    build    bigint not null,
    lane     integer not null,
    category text   not null,
    events   bigint not null,
    hash     bigint not null,                      -- XOR of uuid_hash_extended(event_id, 0)
    primary key (build, lane, category)
) with (fillfactor = 50);

-- Of builds of kind kafka: the last version of each stream that is applied. Not tied
-- to builds by a foreign key, whose check costs a third of a batch.
create table dedup (
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

-- How far a build of kind kafka has read each partition of its topics. Kafka's own
-- commits are not used: these change in one transaction with the read model.
create table offsets (
    build        bigint  not null,
    topic        text    not null,
    partition    integer not null,
    next_offset  bigint  not null,                 -- of the first message that is not applied
    position     bigint  not null,                 -- in the log, of the last that is
    primary key (build, topic, partition)
);

insert into builds (id, name, version, status, schema_name, fingerprint, kind, source, life, total, failure, foreign_messages, identity, epoch, lease_until, created_at, updated_at)
overriding system value
select id, name, version, status, schema_name, fingerprint,
       case when exists (select from projection_partitions p where p.build = b.id) then 'kafka' else 'log' end,
       source, life, total, failure, foreign_messages, identity, epoch, lease_until, created_at, updated_at
from projection_builds b;
select setval(pg_get_serial_sequence('builds', 'id'), greatest(max(id), 1), max(id) is not null) from builds;

insert into lanes (build, lane, position, event_id, events, skipped)
select id, 0, position, event_id, events, skipped from projection_builds;

insert into dedup (build, category, stream_id, version)
select s.build, s.category, s.stream_id, s.version from projection_streams s join builds b on b.id = s.build where b.kind = 'kafka';

insert into offsets (build, topic, partition, next_offset, position)
select build, topic, partition, next_offset, position from projection_partitions;

-- What each build has applied stands in its dedup rows, of both kinds.
insert into sums (build, lane, category, events, hash)
select s.build, 0, s.category, count(*), bit_xor(uuid_hash_extended(e.event_id, 0))
from projection_streams s join events e on e.category = s.category and e.stream_id = s.stream_id and e.version <= s.version
group by s.build, s.category;

drop table projection_partitions;
drop table projection_streams;
drop table projection_builds;

-- +goose Down
create table projection_builds (
    id          bigint      generated always as identity primary key,
    name        text        not null,
    version     integer     not null check (version > 0),
    status      text        not null check (status in ('building', 'live', 'retired')),
    schema_name text        not null unique,
    fingerprint text        not null,
    source      text        not null default 'log',
    position    bigint      not null default 0,
    events      bigint      not null default 0,
    total       bigint      not null default 0,
    skipped     bigint      not null default 0,
    failure     text,
    foreign_messages bigint not null default 0,
    identity    uuid        not null default gen_random_uuid(),
    epoch       bigint      not null default 0,
    lease_until timestamptz,
    created_at  timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default clock_timestamp(),
    life        uuid,
    event_id    uuid
);
create unique index projection_builds_live on projection_builds (name) where status = 'live';
create unique index projection_builds_building on projection_builds (name) where status = 'building';
create table projection_streams (
    build     bigint not null,
    category  text   not null,
    stream_id text   not null,
    version   bigint not null,
    primary key (build, category, stream_id)
) with (fillfactor = 80, autovacuum_analyze_threshold = 10000, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_insert_threshold = 10000);
create table projection_partitions (
    build        bigint  not null,
    topic        text    not null,
    partition    integer not null,
    next_offset  bigint  not null,
    position     bigint  not null,
    primary key (build, topic, partition)
);
insert into projection_builds (id, name, version, status, schema_name, fingerprint, source, position, events, total, skipped, failure, foreign_messages, identity, epoch, lease_until, created_at, updated_at, life, event_id)
overriding system value
select id, name, version, status, schema_name, fingerprint, source, l.position, l.events, total, l.skipped, failure, foreign_messages, identity, epoch, lease_until, created_at, updated_at, life, l.event_id
from builds b join lanes l on l.build = b.id and l.lane = 0;
select setval(pg_get_serial_sequence('projection_builds', 'id'), greatest(max(id), 1), max(id) is not null) from projection_builds;
insert into projection_streams (build, category, stream_id, version)
select build, category, stream_id, version from dedup
union all
select b.id, e.category, e.stream_id, max(e.version)
from builds b join lanes l on l.build = b.id and l.lane = 0
join sums s on s.build = b.id
join events e on e.category = s.category and e.position <= l.position
where b.kind = 'log'
group by b.id, e.category, e.stream_id;
insert into projection_partitions (build, topic, partition, next_offset, position)
select build, topic, partition, next_offset, position from offsets;
drop table offsets;
drop table dedup;
drop table sums;
drop table lanes;
drop table builds;
