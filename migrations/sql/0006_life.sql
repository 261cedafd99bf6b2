-- Which life of the store this is and where it lives; which moments are final; which
-- categories there are.
--
-- Run online: the tables that change have one row, and are locked for a moment. The
-- list of categories reads one index entry a stream.

-- +goose Up

-- A store that has lost events begins another life (see repair): other events then
-- get the positions and versions of the lost ones.
--
-- The place is where the store was when somebody said last that it is the right one:
-- readers refuse a database that finds itself elsewhere, as it was restored, copied or
-- promoted. Null: not known, as hosted servers may not tell.
alter table store_identity
    add life         uuid not null default gen_random_uuid(),
    add system_id    text,  -- of the cluster, from initdb
    add timeline     text,  -- moves when a standby is promoted and after point-in-time recovery
    add database_oid oid,   -- a copy of the database has another
    add events_oid   oid;   -- a restored dump makes the table anew

-- Where this database is now. What the server does not tell, or not to this role, is
-- null. pg_control_checkpoint() would show a new timeline only after a checkpoint.
-- +goose StatementBegin
create function store_place(out system_id text, out timeline text, out database_oid oid, out events_oid oid)
language plpgsql stable set search_path from current as $$
begin
    begin
        select c.system_identifier::text into system_id from pg_control_system() c;
    exception when insufficient_privilege or undefined_function or feature_not_supported then null;
    end;
    begin
        select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) into timeline;
    exception when insufficient_privilege or undefined_function or feature_not_supported or object_not_in_prerequisite_state then null;
    end;
    select d.oid into database_oid from pg_database d where d.datname = current_database();
    events_oid := 'events'::regclass::oid;
end
$$;
-- +goose StatementEnd

-- A relay of before knows where the store was: what was refused stays refused.
update store_identity s set (system_id, timeline, database_oid, events_oid) =
    (select coalesce(r.system_id, p.system_id), coalesce(r.timeline, p.timeline), p.database_oid, coalesce(r.events_oid, p.events_oid)
     from relay r, store_place() p);

-- Moments that were declared final. No event is recorded before this moment any more,
-- in microseconds since 1970. Appends read it after their lock and outside of their
-- snapshot, which is why it is a sequence: its value is what was set last, committed
-- or not. See es/pgstore.
create sequence settled_moment as bigint minvalue 0 start 0 cache 1;

-- The same moment in a table, where every dump and replica has it, with the position
-- that no event recorded before the moment lies above.
alter table settled_head
    add moment          timestamptz,
    add moment_position bigint not null default 0;

-- The categories of the store, by what Kafka takes their topics' names for: it knows
-- no difference between . and _.
create table categories (
    topic    text primary key,
    category text not null
);
insert into categories (topic, category)
select distinct on (translate(category, '.', '_')) translate(category, '.', '_'), category
from (select category, min(position) as first from events where version = 1 group by category) c
order by translate(category, '.', '_'), first;

alter table relay
    add life  uuid,     -- of the store that position is of; null before the first start
    add lease interval, -- how long the holder's lasts: one that would last longer is of before the clock was set back
    drop column store_id, drop column system_id, drop column timeline, drop column events_oid;
update relay set life = (select life from store_identity) where position > 0 or epoch > 0;

alter table projection_builds
    add life uuid,     -- of the store that position is of
    add event_id uuid; -- of the event at position; null when it is not known

-- +goose Down
alter table projection_builds drop column life, drop column event_id;
alter table relay drop column life, drop column lease, add store_id uuid, add system_id text, add timeline text, add events_oid oid;
update relay set (store_id, system_id, timeline, events_oid) = (select id, system_id, timeline, events_oid from store_identity) where epoch > 0;
drop table categories;
alter table settled_head drop column moment, drop column moment_position;
drop sequence settled_moment;
drop function store_place();
alter table store_identity drop column life, drop column system_id, drop column timeline, drop column database_oid, drop column events_oid;
