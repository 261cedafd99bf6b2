package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// polls is how often a side of a round asks for more.
const polls = 2000

// benchPoll compares asking for more at the end of the log, where there is nothing, with the
// query for the page alone: as idle readers ask, all together, for the last event; and as
// each reads when it was told, and now and then, which looks whether the log is another.
// What that costs is the difference.
func benchPoll(ctx context.Context, w *world, _ settings, r *report) error {
	store, err := w.store(ctx)
	if err != nil {
		return err
	}
	defer store.Pool().Close()
	if err := fill(ctx, store, 1000, es.Metadata{}); err != nil {
		return err
	}
	head, err := store.Settle(ctx, time.Time{})
	if err != nil {
		return err
	}
	page, err := store.Read(ctx, head-1, 1)
	if err != nil {
		return err
	}
	end := es.Checkpoint{Position: head, EventID: page[len(page)-1].ID}
	err = r.compare(ctx, "poll at the end of the log",
		side{name: "asof", run: func(ctx context.Context) (done, error) { return pollIdle(ctx, store, head) }},
		side{name: "the page alone", run: func(ctx context.Context) (done, error) { return pollBare(ctx, store, end) }})
	if err != nil {
		return err
	}
	return r.compare(ctx, "read at the end of the log",
		side{name: "asof", run: func(ctx context.Context) (done, error) { return pollAsof(ctx, store, end) }},
		side{name: "the page alone", run: func(ctx context.Context) (done, error) { return pollBare(ctx, store, end) }})
}

// pollIdle waits for more with no pause between two looks, and counts them.
func pollIdle(ctx context.Context, store *pgstore.Store, head es.Position) (done, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	config := store.Pool().Config()
	config.ConnConfig.Tracer = &countdown{left: polls, zero: cancel}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return done{}, err
	}
	defer pool.Close()
	began := time.Now()
	grown, err := pgstore.New(pool).Await(ctx, head, time.Nanosecond, time.Hour)
	if grown || !errors.Is(err, context.Canceled) {
		return done{}, fmt.Errorf("more at the end of the log: %v: %w", grown, err)
	}
	return done{events: polls, took: time.Since(began)}, nil
}

// countdown counts queries.
type countdown struct {
	left int
	zero func()
}

// TraceQueryStart is called before each.
func (c *countdown) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd is called after each.
func (c *countdown) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	if c.left--; c.left == 0 {
		c.zero()
	}
}

func pollAsof(ctx context.Context, store *pgstore.Store, end es.Checkpoint) (done, error) {
	began := time.Now()
	for range polls {
		events, err := store.ReadAfter(ctx, end, 1000)
		if err != nil || len(events) > 0 {
			return done{}, fmt.Errorf("%d events at the end of the log: %w", len(events), err)
		}
	}
	return done{events: polls, took: time.Since(began)}, nil
}

const barePage = `
select position, category, stream_id, version, event_id, type, schema_version, content_type, data, metadata, recorded_at
from asof.events where position > $1 order by position limit 1000`

func pollBare(ctx context.Context, store *pgstore.Store, end es.Checkpoint) (done, error) {
	began := time.Now()
	for range polls {
		tag, err := store.Pool().Exec(ctx, barePage, int64(end.Position))
		if err != nil || tag.RowsAffected() > 0 {
			return done{}, fmt.Errorf("%d events at the end of the log: %w", tag.RowsAffected(), err)
		}
	}
	return done{events: polls, took: time.Since(began)}, nil
}
