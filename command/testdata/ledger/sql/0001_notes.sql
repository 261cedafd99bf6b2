-- +goose Up
create table notes (account text primary key, note text not null);

-- +goose Down
drop table notes;
