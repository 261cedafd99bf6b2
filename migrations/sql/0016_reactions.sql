-- What a reaction could not react to is set aside, with what comes after it in its
-- sequence, and the rest of the partition goes on.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up

-- One row for every message that is set aside. It is noted in the inbox, too, so that it
-- does not come again from Kafka.
create table parked_messages (
    reaction    text        not null,               -- the consumer of the inbox
    id          bigint      not null,               -- its number: a sequence goes on in this order
    message_id  text        not null,               -- as the inbox has it
    sequence    text        not null,               -- what waits for each other: a stream's messages, or a key's
    topic       text        not null,               -- the whole name
    topic_id    uuid,                               -- null: the brokers do not say
    partition   integer     not null,
    "offset"    bigint      not null,
    time_ms     bigint      not null,               -- of the message, milliseconds since 1970: any number may stand there
    key         bytea,
    value       bytea,
    headers     bytea[]     not null,               -- name, value, name, value …
    event_id    uuid,                               -- for people, as are the next three; null: it is no event of Asof's, or broken
    category    text,
    stream_id   text,
    type        text        not null,
    error       text,                               -- null: it waits behind an earlier one
    attempts    integer     not null,
    first_at    timestamptz not null default clock_timestamp(), -- parked
    last_at     timestamptz not null default clock_timestamp(), -- tried
    primary key (reaction, id),
    unique (reaction, message_id)
);
alter table parked_messages alter column value set storage external;
create index parked_messages_sequence on parked_messages (reaction, sequence, id);

-- The numbers that were given. A row, and no sequence: whoever parks waits for it, and it goes
-- along where the rows are replicated.
create table parked_numbers (
    reaction    text        primary key,
    last        bigint      not null
);

-- Messages that a reaction leaves out.
create table skipped_messages (
    reaction    text        not null,
    id          bigint      not null,               -- that it had when it was parked
    message_id  text        not null,
    topic       text        not null,
    partition   integer     not null,
    "offset"    bigint      not null,
    event_id    uuid,
    category    text,
    stream_id   text,
    type        text        not null,
    reason      text        not null,
    skipped_at  timestamptz not null default clock_timestamp(),
    primary key (reaction, id)
);

-- Where a reaction does not go on, and why: a row for each partition that waits, or that
-- the reaction has stopped at. It goes when the partition goes on.
create table reaction_waits (
    reaction    text        not null,
    topic       text        not null,
    partition   integer     not null,
    "offset"    bigint      not null,
    error       text        not null,
    stopped     boolean     not null,               -- false: it is tried again
    since       timestamptz not null default clock_timestamp(),
    primary key (reaction, topic, partition)
);

-- +goose Down
drop table reaction_waits;
drop table skipped_messages;
drop table parked_numbers;
drop table parked_messages;
