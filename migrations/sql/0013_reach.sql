-- A log in another database than the read model may be put back without it: so of the last
-- event that Kafka has brought, its id is kept too.
--
-- Run online: a column is added, which nothing of before reads.

-- +goose Up
alter table offsets add column event_id uuid; -- of the event at position; null when it is not known

-- +goose Down
alter table offsets drop column event_id;
