package main

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// livePage is how many events a projector applies in one transaction.
const livePage = 1000

const bareLiveSQL = bareSalesSQL + `;
alter table bare_sales add primary key (id);
drop table if exists bare_checkpoint;
create table bare_checkpoint (name text primary key, position bigint not null);
insert into bare_checkpoint values ('sales', 0)`

// bareFollowSQL is the next page. Bind: $1 position.
const bareFollowSQL = `select position, stream_id, type, data from asof.events where position > $1 order by position limit 1000`

// bareLoadSQL is the rows of a page. Bind: $1 keys.
const bareLoadSQL = `select id, customer, cents, events, changed_at from bare_sales where id = any($1)`

// bareUpsertSQL writes the rows of a page. Bind: an array a column.
const bareUpsertSQL = `
insert into bare_sales select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[])
on conflict (id) do update set customer = excluded.customer, cents = excluded.cents, events = excluded.events, changed_at = excluded.changed_at`

// Bind: $1 position.
const bareCheckpointSQL = `update bare_checkpoint set position = $1 where name = 'sales'`

// bareEvent is what the bare programs read of an event.
type bareEvent struct {
	position     int64
	stream, kind string
	data         []byte
}

// followBare is the shortest program that keeps the read model and can be killed at
// any moment: a page, its rows, the fold, and rows and checkpoint in one transaction.
func (l *sales) followBare(ctx context.Context) (done, error) {
	began, n := time.Now(), 0
	var position int64
	if err := l.store.Pool().QueryRow(ctx, `select position from bare_checkpoint where name = 'sales'`).Scan(&position); err != nil {
		return done{}, err
	}
	for {
		page, err := l.pageBare(ctx, position)
		if err != nil || len(page) == 0 {
			return done{events: n, took: time.Since(began)}, err
		}
		n += len(page)
		position = page[len(page)-1].position
		if err := pgx.BeginFunc(ctx, l.store.Pool(), func(tx pgx.Tx) error { return l.applyPage(ctx, tx, page) }); err != nil {
			return done{}, err
		}
	}
}

func (l *sales) pageBare(ctx context.Context, after int64) ([]bareEvent, error) {
	rows, err := l.store.Pool().Query(ctx, bareFollowSQL, after)
	if err != nil {
		return nil, err
	}
	page := make([]bareEvent, 0, livePage)
	var e bareEvent
	_, err = pgx.ForEachRow(rows, []any{&e.position, &e.stream, &e.kind, &e.data}, func() error {
		page = append(page, e)
		e.data = nil
		return nil
	})
	return page, err
}

func (l *sales) applyPage(ctx context.Context, tx pgx.Tx, page []bareEvent) error {
	events, keys := make([]*sold, len(page)), make([]string, len(page))
	for i, e := range page {
		var err error
		if events[i], err = decodeBare(e.kind, e.data); err != nil {
			return err
		}
		keys[i] = l.key(e.stream, *events[i])
	}
	rows, err := loadBare(ctx, tx, keys)
	if err != nil {
		return err
	}
	for i, e := range events {
		row := rows[keys[i]]
		if row == nil {
			row = &sale{ID: keys[i]}
			rows[keys[i]] = row
		}
		l.change(row, *e)
	}
	return storeBare(ctx, tx, rows, page[len(page)-1].position)
}

func loadBare(ctx context.Context, tx pgx.Tx, keys []string) (map[string]*sale, error) {
	distinct := slices.Compact(slices.Sorted(slices.Values(keys)))
	list, err := tx.Query(ctx, bareLoadSQL, distinct)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]*sale, len(distinct))
	var row sale
	_, err = pgx.ForEachRow(list, []any{&row.ID, &row.Customer, &row.Cents, &row.Events, &row.ChangedAt}, func() error {
		loaded := row
		rows[row.ID] = &loaded
		return nil
	})
	return rows, err
}

func storeBare(ctx context.Context, tx pgx.Tx, rows map[string]*sale, position int64) error {
	n := len(rows)
	ids, customers, cents := make([]string, 0, n), make([]string, 0, n), make([]int64, 0, n)
	events, changed := make([]int64, 0, n), make([]time.Time, 0, n)
	for _, row := range rows {
		ids, customers, cents = append(ids, row.ID), append(customers, row.Customer), append(cents, row.Cents)
		events, changed = append(events, row.Events), append(changed, row.ChangedAt)
	}
	batch := &pgx.Batch{}
	batch.Queue(bareUpsertSQL, ids, customers, cents, events, changed)
	batch.Queue(bareCheckpointSQL, position)
	return tx.SendBatch(ctx, batch).Close()
}
