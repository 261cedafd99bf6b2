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

// privilegesSQL writes the statements that give the shadow what others may do with the live
// schema, its tables, views and sequences, and with single columns, and, where the two are to
// be alike, those that take from it what others may not do with the live ones any more; these
// come first. What the shadow does not have is left out. An owner of the live schema that is
// not the shadow's is one of the others. Bind: $1 live schema, $2 shadow schema, $3 alike.
const privilegesSQL = `
with pairs as (
    select coalesce(n.nspacl, acldefault('n', n.nspowner)) as live, coalesce(s.nspacl, acldefault('n', s.nspowner)) as shadow, s.nspowner as owner,
           '' as columns, 'schema ' || quote_ident($2) as target
    from pg_namespace n, pg_namespace s where n.nspname = $1 and s.nspname = $2
    union all
    select coalesce(o.relacl, acldefault(k.kind, o.relowner)), coalesce(s.relacl, acldefault(k.kind, s.relowner)), s.relowner,
           '', k.word || format('%I.%I', $2::text, o.relname)
    from pg_class o
    join pg_class s on s.relname = o.relname and s.relnamespace = (select oid from pg_namespace where nspname = $2) and s.relkind = o.relkind
    cross join lateral (select case o.relkind when 'S' then 's'::"char" else 'r'::"char" end as kind, case o.relkind when 'S' then 'sequence ' else 'table ' end as word) k
    where o.relnamespace = (select oid from pg_namespace where nspname = $1) and o.relkind in ('r', 'p', 'v', 'm', 'S')
    union all
    select a.attacl, b.attacl, s.relowner, format(' (%I)', a.attname), 'table ' || format('%I.%I', $2::text, o.relname)
    from pg_class o
    join pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
    join pg_class s on s.relname = o.relname and s.relnamespace = (select oid from pg_namespace where nspname = $2)
    join pg_attribute b on b.attrelid = s.oid and b.attname = a.attname and not b.attisdropped
    where o.relnamespace = (select oid from pg_namespace where nspname = $1) and (a.attacl is not null or b.attacl is not null)
),
live as (select p.columns, p.target, g.privilege_type, g.grantee, g.is_grantable from pairs p cross join lateral aclexplode(p.live) g where g.grantee <> p.owner),
shadow as (select p.columns, p.target, g.privilege_type, g.grantee, g.is_grantable from pairs p cross join lateral aclexplode(p.shadow) g where g.grantee <> p.owner)
select statement from (
    select 1 as step, format('revoke %s%s on %s from %s cascade', w.privilege_type, w.columns, w.target,
                             case when w.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(w.grantee)) end) as statement
    from (select * from shadow except select * from live) w where $3
    union all
    select 2, format('grant %s%s on %s to %s%s', w.privilege_type, w.columns, w.target,
                     case when w.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(w.grantee)) end,
                     case when w.is_grantable then ' with grant option' else '' end)
    from live w
) steps order by step, statement`

// Privileges returns the statements that give one schema what others may do with another, and
// take from it what they may not, if the two are to be alike.
func Privileges(ctx context.Context, tx pgx.Tx, from, to string, alike bool) ([]string, error) {
	rows, err := tx.Query(ctx, privilegesSQL, from, to, alike)
	if err != nil {
		return nil, fmt.Errorf("read privileges: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read privileges: %w", err)
	}
	return list, nil
}
