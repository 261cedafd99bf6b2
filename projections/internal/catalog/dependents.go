package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/fault"
)

// What others have built on the tables of a build would follow them when their schema is
// renamed, and would be dropped with them in the end. So whatever depends on anything in
// the schema and does not lie in it is named, and nothing is done: Postgres notes each
// dependence in pg_depend, of whatever kind it is.

// dependentsSQL names what depends on a schema from outside. Inside are the objects that
// lie in the schema, and what belongs to these (i, a): row types, indexes, constraints,
// rules, triggers, policies, defaults; but not what lies in another schema, belongs to a
// table there or to a publication. What depends on anything inside and is none of it is
// somebody else's; of a view it is a rule that depends, which belongs to the view. Bind: $1
// schema.
const dependentsSQL = `
with recursive own as (select oid from pg_namespace where nspname = $1),
inside (classid, objid, root) as (
    select 'pg_namespace'::regclass::oid, oid, true from own
    union
    select d.classid, d.objid, false from inside i
    join pg_depend d on d.refclassid = i.classid and d.refobjid = i.objid
    where (i.root or d.deptype in ('i', 'a'))
      and not exists (
          select from pg_depend o left join pg_class c on o.refclassid = 'pg_class'::regclass and c.oid = o.refobjid
          where o.classid = d.classid and o.objid = d.objid
            and (o.refclassid = 'pg_publication'::regclass
              or o.refclassid = 'pg_namespace'::regclass and o.refobjid <> (select oid from own)
              or o.deptype in ('i', 'a') and c.relnamespace not in ((select oid from own), 'pg_toast'::regnamespace)))
)
select distinct pg_describe_object(
           coalesce(w.refclassid, d.classid), coalesce(w.refobjid, d.objid), case when w.refobjid is null then d.objsubid else 0 end)
from inside i
join pg_depend d on d.refclassid = i.classid and d.refobjid = i.objid
left join pg_depend w on d.classid = 'pg_rewrite'::regclass and w.classid = d.classid and w.objid = d.objid and w.deptype = 'i'
where not exists (select from inside o where o.classid = d.classid and o.objid = d.objid)
  and not exists (select from inside o where o.classid = w.refclassid and o.objid = w.refobjid)
order by 1`

// RefuseDependents names what depends on a schema, and says what to do about it.
func RefuseDependents(ctx context.Context, tx pgx.Tx, schema, todo string) error {
	rows, err := tx.Query(ctx, dependentsSQL, schema)
	if err != nil {
		return fmt.Errorf("look for dependents: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for dependents: %w", err)
	}
	if len(names) > 0 {
		return fmt.Errorf("%w: %s: %s: %s", fault.ErrDependents, schema, strings.Join(names, ", "), todo)
	}
	return nil
}
