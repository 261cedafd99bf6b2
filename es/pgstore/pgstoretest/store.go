package pgstoretest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/migrations"
)

// New returns a store in a fresh database of this test's own, with the framework's
// tables. At the end of the test its pool is closed and the database dropped.
func New(t testing.TB, options ...Option) *pgstore.Store {
	t.Helper()
	s := newSetup(options)
	if s.schema != usualSchema {
		return open(t, embeddedtest.Database(t), s)
	}
	url := framework.Database(t)
	if err := renew(t.Context(), url); err != nil {
		t.Fatalf("pgstoretest: no store: %v", err)
	}
	return open(t, url, s)
}

// Open returns a store in the database at an address, such as that of a server which
// the test may kill, and makes the tables that are missing. The pool is closed at the
// end of the test; what is in the database stays.
func Open(t testing.TB, url string, options ...Option) *pgstore.Store {
	t.Helper()
	return open(t, url, newSetup(options))
}

func open(t testing.TB, url string, s *setup) *pgstore.Store {
	t.Helper()
	pool, err := newPool(t.Context(), url, s.change...)
	if err != nil {
		t.Fatalf("pgstoretest: no store: %v", err)
	}
	t.Cleanup(pool.Close)
	sets := append([]migrations.Set{migrations.Framework(s.schema)}, s.sets...)
	if err := migrations.Up(t.Context(), pool, sets...); err != nil {
		t.Fatalf("pgstoretest: no store: %v", err)
	}
	return pgstore.New(pool, pgstore.WithSchema(s.schema))
}

func newPool(ctx context.Context, url string, change ...func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	config, err := pg.ParsePool(url)
	if err != nil {
		return nil, err
	}
	for _, change := range change {
		change(config)
	}
	return pgxpool.NewWithConfig(ctx, config)
}
