package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// benchFollow compares a projector that has a backlog with a bare loop that keeps the rows
// in a map: page, decode, fold, one upsert, checkpoint, commit.
func benchFollow(ctx context.Context, w *world, s settings, r *report) error {
	for _, kind := range []struct {
		name  string
		shape shape
	}{
		{"from a backlog", shape{s.projected / streamLength, 1}},
		{"from a backlog, one hot row", shape{100, 100}},
	} {
		if err := followOf(ctx, w, s, r, kind.name, kind.shape); err != nil {
			return err
		}
	}
	return nil
}

// backlog is a log that grows by a round's events when both sides have read it.
type backlog struct {
	store      *pgstore.Store
	shape      shape
	events     int
	end        es.Position
	ours, bare es.Position // how far each has come
	balances   map[string]*balance
}

func followOf(ctx context.Context, w *world, s settings, r *report, name string, shape shape) error {
	store, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	b := &backlog{store: store, shape: shape, events: s.projected, balances: map[string]*balance{}}
	if err := projections.New(store, accounts(1), quiet()).Rebuild(ctx); err != nil {
		return err
	}
	_, err = store.Pool().Exec(ctx, `create table bare (account text primary key, `+balanceColumns+`); create table bare_position (position bigint); insert into bare_position values (0)`)
	if err != nil {
		return err
	}
	err = r.compare(ctx, name, side{"asof", b.follow}, side{"bare loop", b.followBare})
	if err != nil {
		return err
	}
	return alike(ctx, store.Pool(), `accounts.accounts`, `bare`)
}

// grow appends events for the side that has read all.
func (b *backlog) grow(ctx context.Context, at es.Position) (err error) {
	if at == b.end {
		b.end, err = deposit(ctx, b.store.Pool(), b.events, b.shape)
	}
	return err
}

func (b *backlog) follow(ctx context.Context) (done, error) {
	if err := b.grow(ctx, b.ours); err != nil {
		return done{}, err
	}
	p := projections.New(b.store, accounts(1), quiet(), projections.WithPoll(2*time.Millisecond))
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- p.Run(running) }()
	if err := p.WaitFor(ctx, b.end); err != nil {
		return done{}, err
	}
	took := time.Since(began)
	stop()
	b.ours = b.end
	return done{events: b.events, took: took}, <-ended
}

const bareUpsert = `
insert into bare select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[])
on conflict (account) do update set cents = excluded.cents, entries = excluded.entries, note = excluded.note, at = excluded.at`

func (b *backlog) followBare(ctx context.Context) (d done, err error) {
	if err := b.grow(ctx, b.bare); err != nil {
		return done{}, err
	}
	began := time.Now()
	err = b.store.Pool().AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		for b.bare < b.end {
			if err := b.batchBare(ctx, c.Conn()); err != nil {
				return err
			}
		}
		return nil
	})
	return done{events: b.events, took: time.Since(began)}, err
}

func (b *backlog) batchBare(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, bareDeposits+` limit 1000`, int64(b.bare))
	if err != nil {
		return err
	}
	touched, err := foldBare(rows, b.balances, (*int64)(&b.bare))
	if err != nil {
		return err
	}
	var accounts, notes []string
	var cents, entries []int64
	var times []time.Time
	for _, t := range touched {
		accounts, notes, times = append(accounts, t.Account), append(notes, t.Note), append(times, t.At)
		cents, entries = append(cents, t.Cents), append(entries, t.Entries)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(bareUpsert, accounts, cents, entries, notes, times)
		batch.Queue(`update bare_position set position = $1`, int64(b.bare))
		return tx.SendBatch(ctx, batch).Close()
	})
}
