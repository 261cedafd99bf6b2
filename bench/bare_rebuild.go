package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const bareSalesSQL = `drop table if exists bare_sales; create table bare_sales ` + saleColumns

// Bind: none.
const bareLogSQL = `select stream_id, type, data from asof.events order by position`

// rebuildBare is the shortest program that makes the read model: one scan, a fold in
// a map, COPY, and the key afterwards.
func (l *sales) rebuildBare(ctx context.Context) (done, error) {
	began := time.Now()
	rows, n, err := l.foldBare(ctx)
	if err != nil {
		return done{}, err
	}
	if _, err := l.store.Pool().Exec(ctx, bareSalesSQL); err != nil {
		return done{}, err
	}
	if err := l.copyBare(ctx, rows); err != nil {
		return done{}, err
	}
	_, err = l.store.Pool().Exec(ctx, `alter table bare_sales add primary key (id)`)
	return done{events: n, took: time.Since(began)}, err
}

func (l *sales) foldBare(ctx context.Context) (map[string]*sale, int, error) {
	list, err := l.store.Pool().Query(ctx, bareLogSQL)
	if err != nil {
		return nil, 0, err
	}
	defer list.Close()
	rows, n := map[string]*sale{}, 0
	for ; list.Next(); n++ {
		var stream, kind string
		var data []byte
		if err := list.Scan(&stream, &kind, &data); err != nil {
			return nil, n, err
		}
		if err := l.applyBare(rows, stream, kind, data); err != nil {
			return nil, n, err
		}
	}
	return rows, n, list.Err()
}

// applyBare folds an event into a row, which it makes when there is none.
func (l *sales) applyBare(rows map[string]*sale, stream, kind string, data []byte) error {
	e, err := decodeBare(kind, data)
	if err != nil {
		return err
	}
	key := l.key(stream, *e)
	row := rows[key]
	if row == nil {
		row = &sale{ID: key}
		rows[key] = row
	}
	l.change(row, *e)
	return nil
}

func decodeBare(kind string, data []byte) (*sold, error) {
	if kind != soldType {
		return nil, fmt.Errorf("event of type %s", kind)
	}
	var e sold
	err := json.Unmarshal(data, &e)
	return &e, err
}

func (l *sales) copyBare(ctx context.Context, rows map[string]*sale) error {
	list := make([]*sale, 0, len(rows))
	for _, row := range rows {
		list = append(list, row)
	}
	source := pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
		row := list[i]
		return []any{row.ID, row.Customer, row.Cents, row.Events, row.ChangedAt}, nil
	})
	_, err := l.store.Pool().CopyFrom(ctx, pgx.Identifier{"bare_sales"}, []string{"id", "customer", "cents", "events", "changed_at"}, source)
	return err
}

// differSQL counts the rows that one table has and the other has not. Bind: none.
const differSQL = `
select (select count(*) from (select * from sales.sales except all select * from bare_sales) x)
     + (select count(*) from (select * from bare_sales except all select * from sales.sales) y)`

// same is an error when the two read models differ.
func (l *sales) same(ctx context.Context) error {
	var differing, rows int64
	err := l.store.Pool().QueryRow(ctx, `select (`+differSQL+`), (select count(*) from bare_sales)`).Scan(&differing, &rows)
	if err == nil && (differing > 0 || rows == 0) {
		err = fmt.Errorf("the tables of Asof and of the bare program differ in %d of %d rows", differing, rows)
	}
	return err
}
