package inbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/migrations"
)

// world is a store on a database of the test's own.
type world struct {
	testing.TB
	pool  *pgxpool.Pool
	store *pgstore.Store
}

func newWorld(t testing.TB) *world {
	t.Helper()
	config, err := pgxpool.ParseConfig(embeddedtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 12
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return &world{TB: t, pool: pool, store: pgstore.New(pool)}
}

func (w *world) number(sql string, args ...any) (n int64) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), sql, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

// want checks how many events were appended and how many messages noted.
func (w *world) want(events, messages int64) {
	w.Helper()
	if n := w.number(`select count(*) from asof.events`); n != events {
		w.Fatalf("%d events were appended, not %d", n, events)
	}
	if n := w.number(`select count(*) from asof.inbox`); n != messages {
		w.Fatalf("%d messages are noted, not %d", n, messages)
	}
}

func stock() es.StreamID { return es.StreamID{Category: "stock", ID: "p-1"} }

func reserved(ctx context.Context) es.EventData {
	return es.EventData{ID: es.NewID(), Type: "stock.reserved", Data: []byte(`{}`), Metadata: es.MetadataFrom(ctx)}
}

// reserve is a reaction that appends one event.
func reserve(ctx context.Context, tx *pgstore.Tx) error {
	_, err := tx.Append(ctx, stock(), es.Any, reserved(ctx))
	return err
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
