package pgstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
)

// open returns a store in a database of its own.
func open(t *testing.T) *pgstore.Store {
	t.Helper()
	return pgstoretest.New(t, pgstoretest.MaxConns(30))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exec(ctx context.Context, pool *pgxpool.Pool, statements ...string) error {
	for _, sql := range statements {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func someEvents(n int) []es.EventData {
	list := make([]es.EventData, n)
	for i := range list {
		list[i] = es.EventData{ID: es.NewID(), Type: "test.happened", Data: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	return list
}

func stream(id string) es.StreamID { return es.StreamID{Category: "test", ID: id} }

// readAll reads what is settled, until nothing more is.
func readAll(ctx context.Context, store *pgstore.Store, after es.Position) (all []es.RecordedEvent, err error) {
	for {
		events, err := store.Read(ctx, after, 1000)
		if err != nil || len(events) == 0 {
			return all, err
		}
		all = append(all, events...)
		after = events[len(events)-1].Position
	}
}

// within bounds an operation that must not wait for ever.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
