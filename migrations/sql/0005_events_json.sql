-- The view for people shows every event, however strange its payload.
--
-- Run online: functions and a view are replaced, nothing is locked for longer than
-- that. Grants on the view stay, and so do views that others have made of it. Its
-- readers need to execute the two functions, which everybody may by default.
--
-- Down drops the view and makes the older one: grants on it are lost.

-- +goose Up

-- What jsonb can hold of a payload, else null: it has no \u0000, no half of a surrogate
-- pair, no number beyond numeric, no endless nesting, and a payload may not be JSON or
-- not even UTF-8.
-- +goose StatementBegin
create function payload_json(payload bytea) returns jsonb
    language plpgsql stable strict parallel unsafe cost 1000 set search_path = pg_catalog as $$
begin
    return convert_from(payload, 'UTF8')::jsonb;
exception when others then
    return null;
end
$$;
-- +goose StatementEnd

-- A payload as text; of one that is no UTF-8 each byte that is not ASCII as \nnn.
-- +goose StatementBegin
create function payload_text(payload bytea) returns text
    language plpgsql stable strict parallel unsafe cost 100 set search_path = pg_catalog as $$
begin
    return convert_from(payload, 'UTF8');
exception when others then
    return encode(payload, 'escape');
end
$$;
-- +goose StatementEnd

-- Before version 17 nothing that runs in parallel may catch an error.
-- +goose StatementBegin
do $$
begin
    if current_setting('server_version_num')::int >= 170000 then
        alter function payload_json(bytea) parallel safe;
        alter function payload_text(bytea) parallel safe;
    end if;
end
$$;
-- +goose StatementEnd

comment on function payload_json(bytea) is 'Asof: a payload as jsonb, null when jsonb cannot hold it.';
comment on function payload_text(bytea) is 'Asof: a payload as text.';

-- For people: payloads and metadata as jsonb. What is not JSON, or not to jsonb, is null
-- there and stands as text in data_text and metadata_text, which are null otherwise. It
-- is slow on large logs; services read through the library.
create or replace view events_json as
select e.position, e.category, e.stream_id, e.version, e.event_id, e.type, e.schema_version,
       case when j.is_json then payload_json(e.data) end as data,
       case when e.metadata = ''::bytea then '{}'::jsonb else payload_json(e.metadata) end as metadata,
       e.recorded_at,
       case when j.is_json and payload_json(e.data) is not null then null else payload_text(e.data) end as data_text,
       case when e.metadata = ''::bytea or payload_json(e.metadata) is not null then null else payload_text(e.metadata) end as metadata_text
from events e
cross join lateral (
    -- As a media type says it: application/json; charset=utf-8, application/cloudevents+json.
    select e.content_type is null or e.content_type ~* '^\s*(application|text)/([^\s;]+\+)?json\s*(;|$)' as is_json
) j;

comment on view events_json is 'Asof: events with payloads as jsonb, for people.';

-- +goose Down
drop view events_json;
drop function payload_json(bytea);
drop function payload_text(bytea);
create view events_json as
select position, category, stream_id, version, event_id, type, schema_version,
       case when content_type is null then convert_from(data, 'UTF8')::jsonb end as data,
       case when metadata = ''::bytea then '{}'::jsonb else convert_from(metadata, 'UTF8')::jsonb end as metadata,
       recorded_at
from events;
