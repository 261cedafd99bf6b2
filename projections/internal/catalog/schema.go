package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// SearchPathSQL makes unqualified names mean a build's tables until the transaction
// ends; what the connection had comes after. Bind: $1 schema.
const SearchPathSQL = `select set_config('search_path', concat_ws(', ', quote_ident($1::text), nullif(current_setting('search_path'), '')), true)`

// Bind: $1 schema.
const ownTablesSQL = `
select format('%I.%I', $1::text, relname) from pg_class
where relnamespace = (select oid from pg_namespace where nspname = $1) and relkind in ('r', 'p') order by 1`

// LockTables keeps everybody out of the tables of a schema.
func LockTables(ctx context.Context, tx pgx.Tx, schema string) error {
	rows, err := tx.Query(ctx, ownTablesSQL, schema)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `lock table `+strings.Join(tables, ", ")+` in access exclusive mode`)
	return err
}

// deferredSQL names the constraints of a schema's tables that are checked at the end of a
// transaction. Bind: $1 schema.
const deferredSQL = `
select coalesce(string_agg(format('%I.%I', $1::text, conname), ', '), '') from pg_constraint
where connamespace = (select oid from pg_namespace where nspname = $1) and condeferred`

// Defer returns the statement that has a schema's constraints checked as its DDL says, after
// they were all checked at once; empty when it defers none.
func Defer(ctx context.Context, tx pgx.Tx, schema string) (string, error) {
	var names string
	if err := tx.QueryRow(ctx, deferredSQL, schema).Scan(&names); err != nil {
		return "", fmt.Errorf("look for deferred constraints: %w", err)
	}
	if names == "" {
		return "", nil
	}
	return "set constraints " + names + " deferred", nil
}
