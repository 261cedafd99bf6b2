package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// The read model of the sections about projections: a row a group of streams, of five
// columns, folded from events of about 170 bytes of JSON.

// deposited is the event.
type deposited struct {
	Account string    `json:"account"`
	Cents   int64     `json:"cents"`
	Note    string    `json:"note"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

func (deposited) EventType() string { return "deposited" }

// balance is the row.
type balance struct {
	Account string    `db:"account"`
	Cents   int64     `db:"cents"`
	Entries int64     `db:"entries"`
	Note    string    `db:"note"`
	At      time.Time `db:"at"`
}

func (b *balance) apply(d *deposited) {
	b.Cents += d.Cents
	b.Entries++
	b.Note, b.At = d.Note, d.At
}

const balanceColumns = `cents bigint not null, entries bigint not null, note text not null, at timestamptz not null`

// accounts is the projection. Its version is the round's, so that each builds anew.
func accounts(version int) projections.Fold[balance, deposited] {
	return projections.Fold[balance, deposited]{
		Name: "accounts", Version: version, Order: projections.LogOrder,
		Table: `create table accounts (account text primary key, ` + balanceColumns + `)`,
		Codec: es.JSON(deposited{}),
		Key:   func(d deposited, _ es.Recorded) string { return d.Account },
		Apply: func(b *balance, d deposited, _ es.Recorded) { b.apply(&d) },
	}
}

// quiet is for a report that nothing else is written between.
func quiet() projections.Option { return projections.WithLogger(slog.New(slog.DiscardHandler)) }

// shape is how the events of a log lie: in so many streams, interleaved, of which each so
// many feed one row.
type shape struct{ streams, feed int }

// depositSQL writes events past the library, which nobody reads meanwhile. Bind: $1 events,
// $2 streams, $3 streams that feed a row.
const depositSQL = `
insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, data, metadata, recorded_at)
select nextval('asof.events_position'), 'account', 'stream-' || (n % $2), before + 1 + n / $2, gen_random_uuid(), 'deposited', 1,
       convert_to(format('{"account":"account-%s","cents":%s,"note":"note number %s of the account, with some text","by":"user-%s","at":"2026-01-02T03:04:05.%sZ"}',
                         n % $2 / $3, n % 1000, n, n % 977, lpad((n % 1000000)::text, 6, '0')), 'UTF8'), '', clock_timestamp()
from generate_series(0, $1 - 1) n, (select coalesce(max(version), 0) from asof.events where category = 'account' and stream_id = 'stream-0') b (before)`

// deposit appends events, and returns the log's last position.
func deposit(ctx context.Context, pool *pgxpool.Pool, events int, s shape) (last es.Position, err error) {
	if _, err := pool.Exec(ctx, depositSQL, events, s.streams, s.feed); err != nil {
		return 0, fmt.Errorf("fill the log: %w", err)
	}
	if _, err := pool.Exec(ctx, `vacuum (analyze) asof.events`); err != nil {
		return 0, err
	}
	err = pool.QueryRow(ctx, `select max(position) from asof.events`).Scan((*int64)(&last))
	return last, err
}
