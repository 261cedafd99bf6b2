-- A read model may be fed from Kafka's topics alone, without the log behind them.
--
-- Stop the projectors before: the key of dedup is made anew, which takes about a second a
-- million streams of builds that Kafka feeds.

-- +goose Up
alter table builds drop constraint builds_kind_check;
alter table builds add constraint builds_kind_check check (kind in ('log', 'kafka', 'topic'));

-- Whose events they are, as their messages say; empty where the log says it.
alter table dedup add column source text not null default '';
alter table dedup drop constraint dedup_pkey;
alter table dedup add primary key (build, category, stream_id, source);

-- Of builds of kind topic: which topic of its name was read; null where brokers do not say.
alter table offsets add column topic_id uuid;

-- Of builds of kind topic: the life of each source's store.
create table lives (
    build  bigint not null,
    source text   not null,
    life   uuid   not null,
    primary key (build, source)
);

-- Of builds of kind topic: streams of which an event has not come, while later ones have.
create table gaps (
    build       bigint      not null,
    source      text        not null,
    category    text        not null,
    stream_id   text        not null,
    version     bigint      not null,              -- that has not come
    topic       text        not null,
    partition   integer     not null,
    next_offset bigint      not null,              -- of the first message after it: from here the stream is read again
    lost        boolean     not null default false, -- that message is not kept any more
    since       timestamptz not null default clock_timestamp(),
    primary key (build, source, category, stream_id)
);

-- +goose Down
drop table gaps;
drop table lives;
alter table offsets drop column topic_id;
delete from dedup where source <> '';
alter table dedup drop constraint dedup_pkey;
alter table dedup drop column source;
alter table dedup add primary key (build, category, stream_id);
delete from builds where kind = 'topic';
alter table builds drop constraint builds_kind_check;
alter table builds add constraint builds_kind_check check (kind in ('log', 'kafka'));
