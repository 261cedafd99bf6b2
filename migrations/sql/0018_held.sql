-- What a mapping of the relay could not publish: of each stream from some version on.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up
create table held (
    mapping   text        not null,
    category  text        not null,
    stream_id text        not null,
    version   bigint      not null,              -- this event could not be published, and later ones wait behind it
    position  bigint      not null,              -- of it
    event_id  uuid        not null,
    type      text        not null,
    error     text        not null,
    attempts  integer     not null default 1,
    first_at  timestamptz not null default clock_timestamp(),
    last_at   timestamptz not null default clock_timestamp(),
    primary key (mapping, category, stream_id)
);

comment on table held is 'Asof: streams of which a mapping of the relay could not publish an event. It tries again by itself.';

-- The mappings by which the relay has published. A relay that lacks one would leave a hole in its
-- topic.
create table relay_mappings (
    mapping  text        primary key,
    category text        not null,
    position bigint      not null,              -- what came before it is not published by it
    begun_at timestamptz not null default clock_timestamp()
);

-- +goose Down
drop table relay_mappings;
drop table held;
