package main

import (
	"context"
	"fmt"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
)

// polls is how often a side of a round asks for more.
const polls = 2000

// benchPoll compares asking for more at the end of the log, where there is nothing and
// the log is looked at all the same, with the query for the page alone. What an idle
// poll costs more is the difference of the two.
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
	page, err := store.Scan(ctx, es.Checkpoint{Position: head - 1}, head, 1)
	if err != nil {
		return err
	}
	end := es.Checkpoint{Position: head, EventID: page[len(page)-1].ID}
	return r.compare(ctx, "poll at the end of the log",
		side{name: "asof", run: func(ctx context.Context) (done, error) { return pollAsof(ctx, store, end) }},
		side{name: "the page alone", run: func(ctx context.Context) (done, error) { return pollBare(ctx, store, end) }})
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
