package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/fault"
	"github.com/asof-dev/asof/projections/internal/table"
)

// MakeTables runs the DDL of a definition, which its errors name, in a new schema and leaves
// the search path on it.
func MakeTables(ctx context.Context, tx pgx.Tx, schema, name, ddl string) error {
	if _, err := tx.Exec(ctx, pg.NoStatementTimeoutSQL); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `create schema `+table.Quote(schema)); err != nil {
		if pg.Is(err, pg.InsufficientPrivilege) {
			c := tx.Conn().Config()
			return fmt.Errorf("%q: its tables need a schema of their own, which the role may not make: grant create on database %s to %s: %w", name, table.Quote(c.Database), table.Quote(c.User), err)
		}
		return err
	}
	if _, err := tx.Exec(ctx, SearchPathSQL, schema); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, ddl); err != nil {
		return fault.Mistake(fmt.Sprintf("%q: its DDL", name), err)
	}
	return refuseDDL(ctx, tx, schema, name)
}

// oddSQL lists what the DDL made that a read model cannot keep, with what to do. Bind: $1
// schema.
const oddSQL = `
select format('the extension %s, which would lie in the tables'' schema and be dropped with it: create it in a migration, in a schema of its own', extname)
from pg_extension where extnamespace = (select oid from pg_namespace where nspname = $1)
union all
select case relkind when 'm' then format('the materialized view %s, which nobody refreshes: make it a view, or a projection of its own', relname)
       else format('the table %s unlogged, which a crash of the server empties while its events stay applied: leave unlogged out', relname) end
from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1)
  and (relkind = 'm' or relkind in ('r', 'p') and relpersistence = 'u')
limit 1`

func refuseDDL(ctx context.Context, tx pgx.Tx, schema, name string) error {
	rows, err := tx.Query(ctx, oddSQL, schema)
	if err != nil {
		return fmt.Errorf("look at what the DDL made: %w", err)
	}
	odd, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look at what the DDL made: %w", err)
	}
	if len(odd) > 0 {
		return fmt.Errorf("%w: %q: its DDL makes %s", fault.ErrInvalid, name, odd[0])
	}
	return nil
}
