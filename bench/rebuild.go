package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// benchRebuild compares building a read model from the whole log, by Rebuild with all that
// it verifies and by AsOf, with a bare program of one thread that folds in a map, copies
// and adds the key.
func benchRebuild(ctx context.Context, w *world, s settings, r *report) error {
	for _, kind := range []struct {
		name  string
		shape shape
	}{
		{"rebuild", shape{s.projected / streamLength, 1}},
		{"rebuild, a hundred rows", shape{100, 1}},
		{"rebuild, ten streams a row", shape{s.projected / streamLength, 10}},
	} {
		if err := rebuildOf(ctx, w, s, r, kind.name, kind.shape); err != nil {
			return err
		}
	}
	return nil
}

func rebuildOf(ctx context.Context, w *world, s settings, r *report, name string, shape shape) error {
	store, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	last, err := deposit(ctx, store.Pool(), s.projected, shape)
	if err != nil {
		return err
	}
	version := 0
	bare := side{"bare", func(ctx context.Context) (done, error) { return buildBare(ctx, store.Pool(), s.projected) }}
	err = r.compare(ctx, name, side{"asof", func(ctx context.Context) (done, error) {
		version++
		began := time.Now()
		err := projections.New(store, accounts(version), quiet()).Rebuild(ctx)
		return done{events: s.projected, took: time.Since(began)}, err
	}}, bare)
	if err != nil {
		return err
	}
	if err := alike(ctx, store.Pool(), `accounts.accounts`, `bare`); err != nil || name != "rebuild" {
		return err
	}
	return r.compare(ctx, "as of the end", side{"asof", func(ctx context.Context) (done, error) { return readAsOf(ctx, store, s.projected, last) }}, bare)
}

func readAsOf(ctx context.Context, store *pgstore.Store, events int, last es.Position) (done, error) {
	began := time.Now()
	err := projections.New(store, accounts(1), quiet()).AsOf(ctx, es.AtPosition(last), func(ctx context.Context, tx pgx.Tx) error {
		var entries int
		err := tx.QueryRow(ctx, `select sum(entries) from accounts`).Scan(&entries)
		if err == nil && entries != events {
			err = fmt.Errorf("%d entries of %d events", entries, events)
		}
		return err
	})
	return done{events: events, took: time.Since(began)}, err
}

// alike refuses tables that differ.
func alike(ctx context.Context, pool *pgxpool.Pool, a, b string) error {
	var n int
	err := pool.QueryRow(ctx, `select count(*) from ((table `+a+` except table `+b+`) union all (table `+b+` except table `+a+`)) d`).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d rows of %s and %s differ", n, a, b)
	}
	return err
}

const bareDeposits = `
select position, category, stream_id, version, event_id, type, data, recorded_at from asof.events where position > $1 order by position`

// foldBare folds the rows of bareDeposits, and returns the touched balances in order.
func foldBare(rows pgx.Rows, balances map[string]*balance, position *int64) ([]*balance, error) {
	var touched []*balance
	seen := map[*balance]bool{}
	var category, stream, kind string
	var version int64
	var id [16]byte
	var data []byte
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{position, &category, &stream, &version, &id, &kind, &data, &at}, func() error {
		var d deposited
		if err := json.Unmarshal(data, &d); err != nil {
			return err
		}
		b := balances[d.Account]
		if b == nil {
			b = &balance{Account: d.Account}
			balances[d.Account] = b
		}
		if !seen[b] {
			seen[b] = true
			touched = append(touched, b)
		}
		b.apply(&d)
		return nil
	})
	return touched, err
}

func buildBare(ctx context.Context, pool *pgxpool.Pool, events int) (d done, err error) {
	began := time.Now()
	err = pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		conn := c.Conn()
		if _, err := conn.Exec(ctx, `drop table if exists bare; create table bare (account text, `+balanceColumns+`)`); err != nil {
			return err
		}
		rows, err := conn.Query(ctx, bareDeposits, 0)
		if err != nil {
			return err
		}
		var position int64
		list, err := foldBare(rows, map[string]*balance{}, &position)
		if err != nil {
			return err
		}
		_, err = conn.CopyFrom(ctx, pgx.Identifier{"bare"}, []string{"account", "cents", "entries", "note", "at"}, pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
			b := list[i]
			return []any{b.Account, b.Cents, b.Entries, b.Note, b.At}, nil
		}))
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, `alter table bare add primary key (account)`)
		return err
	})
	return done{events: events, took: time.Since(began)}, err
}
