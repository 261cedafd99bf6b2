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

-- +goose Down
drop table held;
