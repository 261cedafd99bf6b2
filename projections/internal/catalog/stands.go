package catalog

import (
	"context"
	"fmt"

	"github.com/asof-dev/asof/internal/pg"
)

// standsSQL lists what stands on the tables of a schema. Columns and comments are found by the
// indexes of the catalog, table by table (offset 0): a join would read those of the whole
// database, while a switch keeps readers waiting. Bind: $1 schema.
const standsSQL = `
with own as (select oid from pg_namespace where nspname = $1),
tables as (select c.* from pg_class c where c.relnamespace = (select oid from own)),
columns as (
    select t.relname, a.* from (select * from tables where relkind in ('r', 'p') offset 0) t
    cross join lateral (select * from pg_attribute where attrelid = t.oid and attnum > 0 and not attisdropped offset 0) a),
comments as (
    select t.relname, d.* from tables t
    cross join lateral (select * from pg_description where objoid = t.oid and classoid = 'pg_class'::regclass offset 0) d)
select array(
    select 'row level security on table ' || relname from tables where relrowsecurity
    union select 'row level security, forced, on table ' || relname from tables where relforcerowsecurity
    union select format('policy %s on table %s', p.polname, t.relname) from pg_policy p join tables t on t.oid = p.polrelid
    union select format('trigger %s on table %s', g.tgname, t.relname) from pg_trigger g join tables t on t.oid = g.tgrelid where not g.tgisinternal
    union select format('rule %s on table %s', w.rulename, t.relname) from pg_rewrite w join tables t on t.oid = w.ev_class where w.rulename <> '_RETURN'
    union select format('constraint %s on table %s', k.conname, t.relname) from pg_constraint k join tables t on t.oid = k.conrelid where k.contype not in ('t', 'n')
    union select case relkind when 'i' then 'index ' when 'I' then 'index ' when 'S' then 'sequence ' when 'v' then 'view ' when 'm' then 'materialized view '
                 when 'c' then 'type ' else 'table ' end || relname from tables where relkind in ('i', 'I', 'S', 'v', 'm', 'c', 'r', 'p', 'f')
    union select format('column %s of table %s', attname, relname) from columns
    union select format('not null of column %s of table %s', attname, relname) from columns where attnotnull -- a constraint too, but from 18 on only
    union select format('type of column %s of table %s: %s', attname, relname, replace(format_type(atttypid, atttypmod), quote_ident($1) || '.', '')) from columns
    union select format('default of column %s of table %s', a.attname, a.relname) from pg_attrdef d join columns a on a.attrelid = d.adrelid and a.attnum = d.adnum
    union select format('statistics target of column %s of table %s', attname, relname) from columns where coalesce(attstattarget, -1) <> -1
    union select 'statistics ' || stxname from pg_statistic_ext where stxnamespace = (select oid from own)
    union select format('replica identity of table %s', relname) from tables where relkind in ('r', 'p') and relreplident <> 'd'
    union select format('clustering of table %s', t.relname) from pg_index x join tables t on t.oid = x.indrelid where x.indisclustered
    union select format('options of %s: %s', relname, array_to_string(reloptions, ', ')) from tables where reloptions is not null
    union select format('comment on table %s: %s', relname, description) from comments where objsubid = 0
    union select format('comment on column %s of table %s: %s', a.attname, c.relname, c.description) from comments c
          cross join lateral (select attname from pg_attribute where attrelid = c.objoid and attnum = c.objsubid offset 0) a where c.objsubid > 0
    union select 'comment on the schema: ' || d.description from pg_description d
          where d.classoid = 'pg_namespace'::regclass and d.objoid = (select oid from own)
    union select format('function %s(%s)', proname, pg_get_function_identity_arguments(oid)) from pg_proc where pronamespace = (select oid from own)
    union select format('privileges of function %s: %s', proname, proacl) from pg_proc where pronamespace = (select oid from own) and proacl is not null
    union select format('privileges of type %s: %s', typname, typacl) from pg_type where typnamespace = (select oid from own) and typacl is not null
    union select 'default privileges: ' || defaclacl::text from pg_default_acl where defaclnamespace = (select oid from own)
    order by 1)::text[]`

// Stands lists what stands on the tables of a schema, in words.
func Stands(ctx context.Context, db pg.Querier, schema string) (list []string, err error) {
	if err := db.QueryRow(ctx, standsSQL, schema).Scan(&list); err != nil {
		return nil, fmt.Errorf("look what stands on the tables of %s: %w", schema, err)
	}
	return list, nil
}

// Without returns what one list has and the other has not.
func Without(list, other []string) (left []string) {
	known := make(map[string]bool, len(other))
	for _, what := range other {
		known[what] = true
	}
	for _, what := range list {
		if !known[what] {
			left = append(left, what)
		}
	}
	return left
}
