-- A projection can be paused: nothing is applied to its live read model until it is resumed.
--
-- Run online: what is new is empty.

-- +goose Up
create table paused (
    name   text        not null primary key,       -- of the projection
    reason text        not null,
    since  timestamptz not null default clock_timestamp()
);

-- +goose Down
drop table paused;
