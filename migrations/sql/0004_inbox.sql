-- The inbox: which messages a reaction has had.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up

-- A row is written in the transaction of the reaction, before it: the primary key
-- makes a second delivery wait for the first, and then do nothing.
create table inbox (
    consumer    text        not null,            -- the name of the reaction
    message_id  text        not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (consumer, message_id)
);

-- For the retention: the oldest rows of a consumer.
create index inbox_received on inbox (consumer, received_at);

-- +goose Down
drop table inbox;
