package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Exists reports whether a schema is there: somebody may have dropped it.
func Exists(ctx context.Context, tx pgx.Tx, schema string) (there bool, err error) {
	err = tx.QueryRow(ctx, `select exists (select from pg_namespace where nspname = $1)`, schema).Scan(&there)
	return there, err
}

// grantsSQL writes the GRANT statements that give the shadow what others than the
// owner may do with the live schema, its tables, views and sequences, and with single
// columns; what the shadow does not have any more is left out. Bind: $1 live schema,
// $2 shadow schema.
const grantsSQL = `
with wanted as (
    select n.nspacl as acl, n.nspowner as owner, '' as columns, 'schema ' || quote_ident($2) as target
    from pg_namespace n where n.nspname = $1
    union all
    select o.relacl, o.relowner, '', case o.relkind when 'S' then 'sequence ' else 'table ' end || format('%I.%I', $2::text, o.relname)
    from pg_class o
    join pg_class s on s.relname = o.relname and s.relnamespace = (select oid from pg_namespace where nspname = $2)
    where o.relnamespace = (select oid from pg_namespace where nspname = $1) and o.relkind in ('r', 'p', 'v', 'm', 'S')
    union all
    select a.attacl, o.relowner, format(' (%I)', a.attname), 'table ' || format('%I.%I', $2::text, o.relname)
    from pg_class o
    join pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped and a.attacl is not null
    join pg_class s on s.relname = o.relname and s.relnamespace = (select oid from pg_namespace where nspname = $2)
    join pg_attribute b on b.attrelid = s.oid and b.attname = a.attname and not b.attisdropped
    where o.relnamespace = (select oid from pg_namespace where nspname = $1)
)
select format('grant %s%s on %s to %s%s', g.privilege_type, w.columns, w.target,
              case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
              case when g.is_grantable then ' with grant option' else '' end)
from wanted w cross join lateral aclexplode(w.acl) g
where g.grantee <> w.owner
order by 1`

// Grants returns the GRANT statements that give one schema what others may do with another.
func Grants(ctx context.Context, tx pgx.Tx, from, to string) ([]string, error) {
	rows, err := tx.Query(ctx, grantsSQL, from, to)
	if err != nil {
		return nil, fmt.Errorf("read privileges: %w", err)
	}
	grants, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read privileges: %w", err)
	}
	return grants, nil
}
