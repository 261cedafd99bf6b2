-- The contracts by which payloads were written, so that they can be read without a registry.
--
-- Run online: everything here is new, nothing is locked that is in use.

-- +goose Up
create table contracts (
    kind           text        not null,    -- AVRO, PROTOBUF or JSON
    fingerprint    text        not null,    -- of the text; payloads of Avro begin with it
    type           text        not null,    -- of the events that are written by it
    schema_version integer     not null,    -- of these
    meaning        text        not null,    -- a digest of what reading takes of the text, empty where that is all of it
    text           text        not null,
    recorded_at    timestamptz not null default clock_timestamp(),
    primary key (kind, fingerprint, type, schema_version)
);

comment on table contracts is 'Asof: the schemas by which payloads were written. Without them those payloads cannot be read: keep them with the log.';

create trigger contracts_immutable before update or delete or truncate on contracts
    for each statement execute function refuse_change();

-- +goose Down
drop table contracts;
