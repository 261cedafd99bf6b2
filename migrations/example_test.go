package migrations_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/internal/exampletest"
	"github.com/asof-dev/asof/migrations"
)

// A service has its own tables beside the framework's. Its files are usually embedded
// in the binary.
func Example() {
	ctx := context.Background()
	pool, done := examplePool()
	defer done()

	orders := migrations.Set{Schema: "orders", Files: fstest.MapFS{
		"0001_customers.sql": {Data: []byte(`
-- +goose Up
create table customers (id bigint primary key, name text not null);
-- +goose Down
drop table customers;
`)},
		"0002_name.sql": {Data: []byte(`
-- +goose NO TRANSACTION
-- +goose Up
create index concurrently customers_name on customers (name);
-- +goose Down
drop index concurrently customers_name;
`)},
	}}
	if err := migrations.Up(ctx, pool, migrations.Framework("asof"), orders); err != nil {
		fmt.Println(err)
		return
	}

	files, err := migrations.Status(ctx, pool, orders)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, file := range files {
		fmt.Println(file.Name, "applied:", !file.AppliedAt.IsZero())
	}

	fmt.Println(migrations.Down(ctx, pool, orders, 1))
	// Output:
	// 0001_customers.sql applied: true
	// 0002_name.sql applied: true
	// <nil>
}

// examplePool is a pool on a fresh database, as pgxpool.New gives it.
func examplePool() (pool *pgxpool.Pool, done func()) {
	e := &exampletest.T{}
	return embeddedtest.Pool(e), e.End
}
