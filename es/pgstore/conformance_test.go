package pgstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/es/storetest"
	"github.com/asof-dev/asof/migrations"
)

// TestStore holds a store to the contract of package es. All stores of the suite
// live in one database, side by side in schemas of their own: streams, ids and
// positions of one are nothing to another.
func TestStore(t *testing.T) {
	t.Parallel()
	pool := pgstoretest.New(t, pgstoretest.MaxConns(40)).Pool()
	var count atomic.Int64
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		schema := fmt.Sprintf("store_%02d", count.Add(1))
		must(t, migrations.Up(t.Context(), pool, migrations.Framework(schema)))
		store := pgstore.New(pool, pgstore.WithSchema(schema))
		return storetest.Subject{Store: store, Log: store}
	})
}
