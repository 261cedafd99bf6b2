-- The inbox: which life of a store a reaction has met.
--
-- A store that has lost events, as by a restore, begins another life: its messages
-- name it. A reaction that meets another life than the one it knows stops, until it
-- is told to accept it.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up

-- Written in the transaction of the first reaction to a source, and by Accept.
create table inbox_lives (
    consumer text        not null,            -- the name of the reaction
    source   text        not null,            -- of the messages, as their header ce_source has it
    life     uuid        not null,
    since    timestamptz not null default clock_timestamp(),
    kept     bigint,                          -- null: the life that the reaction is in. Of a former one: up to
                                              -- this position its events are in the later lives too
    primary key (consumer, source, life)
);

-- A reaction is in one life of a source.
create unique index inbox_lives_current on inbox_lives (consumer, source) where kept is null;

-- +goose Down
drop table inbox_lives;
