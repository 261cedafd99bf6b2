-- A stream may wait in several partitions: where a topic has grown, or there are several.

-- +goose Up
alter table gaps drop constraint gaps_pkey;
alter table gaps add primary key (build, source, category, stream_id, topic, partition);

-- +goose Down
delete from gaps a using gaps b
where a.build = b.build and a.source = b.source and a.category = b.category and a.stream_id = b.stream_id and (a.topic, a.partition) > (b.topic, b.partition);
alter table gaps drop constraint gaps_pkey;
alter table gaps add primary key (build, source, category, stream_id);
