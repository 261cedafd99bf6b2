package pgstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/storetest"
	"github.com/asof-dev/asof/migrations"
)

// TestStore holds a store to the contract of package es. All stores of the suite
// live in one database, side by side in schemas of their own: streams, ids and
// positions of one are nothing to another.
func TestStore(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(embeddedtest.Database(t))
	must(t, err)
	config.MaxConns = 40
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	must(t, err)
	t.Cleanup(pool.Close)
	var count atomic.Int64
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		schema := fmt.Sprintf("store_%02d", count.Add(1))
		must(t, migrations.Up(t.Context(), pool, migrations.Framework(schema)))
		store := pgstore.New(pool, pgstore.WithSchema(schema))
		return storetest.Subject{Store: store, Log: store}
	})
}
