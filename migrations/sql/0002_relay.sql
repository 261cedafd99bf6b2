-- The relay: how far the log is published, and which process may publish it.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up

-- Who this store is. A copy of the tables brings the id along; whether the copy is
-- another store is told with the system identifier and timeline of the cluster and
-- the oid of the events table beside it (see es/outbox).
create table store_identity (
    only_row   boolean     primary key default true check (only_row),
    id         uuid        not null default gen_random_uuid(),
    created_at timestamptz not null default clock_timestamp()
);
insert into store_identity default values;

-- The lease and the checkpoint are one row, so that one statement checks the one and
-- moves the other: a process that lost the lease can move nothing.
create table relay (
    only_row    boolean     primary key default true check (only_row),
    epoch       bigint      not null default 0,  -- of the lease; grows with every holder
    leader      text,                            -- the holder, for people; null when nobody holds it
    lease_until timestamptz,                     -- another may take over after this
    position    bigint      not null default 0,  -- every event up to here is published; later ones may be
    event_id    uuid,                            -- of the event at position
    store_id    uuid,                            -- the identity of the store that position is of;
    system_id   text,                            -- null: not known
    timeline    text,
    events_oid  oid,
    failure     text,                            -- what holds the relay up; null when it goes on
    failed_at   timestamptz,
    updated_at  timestamptz not null default clock_timestamp()
) with (fillfactor = 50);                        -- room for updates in place
insert into relay default values;

-- The topics that the relay has made. The number of partitions decides which one a
-- key goes to, so it is kept, and another is refused.
create table relay_topics (
    topic      text        primary key,
    partitions integer     not null check (partitions > 0),
    created_at timestamptz not null default clock_timestamp()
);

-- +goose Down
drop table relay_topics;
drop table relay;
drop table store_identity;
