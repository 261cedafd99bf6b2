-- Partitions of Kafka's topics are lanes of a build, which processes apply side by side: so
-- what each counts stands in its own row.
--
-- Run online: stop the projectors that read Kafka before, and start the new program after.

-- +goose Up
comment on column lanes.lane is '0: the log; n + 1: partition n of the topics';
alter table lanes add column foreign_messages bigint not null default 0; -- in its topics: skipped, as the log does not have them
update lanes l set foreign_messages = b.foreign_messages from builds b where b.id = l.build and l.lane = 0;
alter table builds drop column foreign_messages;

-- +goose Down
alter table builds add column foreign_messages bigint not null default 0;
update builds b set foreign_messages = l.foreign_messages
from (select build, sum(foreign_messages) as foreign_messages from lanes group by build) l where l.build = b.id;
alter table lanes drop column foreign_messages;
update lanes l set skipped = l.skipped + o.skipped, parked = l.parked + o.parked, counter = l.counter + 1
from (select build, sum(skipped) as skipped, sum(parked) as parked from lanes where lane > 0 group by build) o
where l.lane = 0 and l.build = o.build;
delete from lanes where lane > 0;
insert into sums as s (build, lane, category, events, hash)
select build, 0, category, sum(events), bit_xor(hash) from sums where lane > 0 group by build, category
on conflict (build, lane, category) do update set events = s.events + excluded.events, hash = s.hash # excluded.hash;
delete from sums where lane > 0;
comment on column lanes.lane is null;
