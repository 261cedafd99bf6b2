-- Who is in a consumer group and alive: members that share a read model raise their number
-- here, and take those out of the group whose number stands still.
--
-- Run online: a table is added, which nothing of before reads.

-- +goose Up
create unlogged table members (
    member     text primary key,   -- as the brokers name it
    group_name text not null,
    beats      bigint not null,
    at         timestamptz not null -- of the last beat; old rows are dropped by it
);

-- +goose Down
drop table members;
