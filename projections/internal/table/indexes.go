package table

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Rows that are copied into a table with a primary key cost three times as much as the
// same rows with the key made after: so the indexes of an empty table are taken away for
// the copy, and made again, in one transaction.

// withoutFrom is the number of rows from which that is worth it.
const withoutFrom = 10_000

// indexesSQL lists how to take the indexes of a table away and how to make them again. It
// lists none where something would be lost by it: where a foreign
// key, a view or anything else leans on one of them; where one has a comment, a tablespace,
// a statistics target or, as a constraint's, storage options, is the replica identity or what the table is clustered by, or is
// not valid; and of a partitioned table. Bind: $1 table, quoted and with its schema.
const indexesSQL = `
with own as (
    select i.indexrelid as index, c.oid as con, x.relname as name, i.indrelid as "table",
           i.indisclustered or not i.indisvalid or x.reltablespace <> 0 or c.oid is not null and x.reloptions is not null
           or obj_description(i.indexrelid, 'pg_class') is not null or obj_description(c.oid, 'pg_constraint') is not null
           or exists (select from pg_attribute a where a.attrelid = i.indexrelid and a.attstattarget >= 0)
           or exists (select from pg_depend d where d.deptype <> 'i' and d.classid <> 'pg_class'::regclass
                      and (d.refclassid, d.refobjid) in (('pg_class'::regclass, i.indexrelid), ('pg_constraint'::regclass, c.oid))) as odd
    from pg_index i
    join pg_class x on x.oid = i.indexrelid
    left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid and c.contype in ('p', 'u', 'x')
    where i.indrelid = $1::regclass)
select case when con is null then 'drop index ' || index::regclass else format('alter table %s drop constraint %I', "table"::regclass, c.conname) end,
       case when con is null then pg_get_indexdef(index) else format('alter table %s add constraint %I %s', "table"::regclass, c.conname, pg_get_constraintdef(con)) end
from own left join pg_constraint c on c.oid = con
where not exists (select from own where odd)
  and (select relkind = 'r' and relreplident in ('d', 'n', 'f') from pg_class where oid = $1::regclass)
order by name`

// without runs f while the table has no indexes.
func without(ctx context.Context, conn *pgx.Conn, table string, f func() error) error {
	rows, err := conn.Query(ctx, indexesSQL, table)
	if err != nil {
		return fmt.Errorf("look at the indexes of %s: %w", table, err)
	}
	type index struct{ Drop, Make string }
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return fmt.Errorf("look at the indexes of %s: %w", table, err)
	}
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, i.Drop); err != nil {
			return fmt.Errorf("take away an index of %s: %w", table, err)
		}
	}
	if err := f(); err != nil {
		return err
	}
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, i.Make); err != nil {
			return fmt.Errorf("make an index of %s: %w", table, err)
		}
	}
	return nil
}
