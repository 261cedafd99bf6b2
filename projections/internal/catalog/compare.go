package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/table"
)

// tablesSQL lists the tables of a schema with the columns of their primary keys, and
// with all columns and whether they are of types that each schema has for itself.
// Bind: $1 schema.
const tablesSQL = `
select c.relname, coalesce((
    select array_agg(a.attname order by a.attnum) from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
    where i.indrelid = c.oid and i.indisprimary), '{}')::text[],
    array(select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)::text[],
    array(select t.typnamespace = c.relnamespace or coalesce(o.collnamespace = c.relnamespace, false)
          from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_collation o on o.oid = a.attcollation
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
from pg_class c
where c.relnamespace = (select oid from pg_namespace where nspname = $1) and c.relkind in ('r', 'p') and not c.relispartition
order by c.relname`

type keyedTable struct {
	Name    string
	Keys    []string
	Columns []string
	Own     []bool // by column: its type or its collation was made by the DDL
}

// Compare counts the rows in which the tables of two schemas differ. Rows are
// compared as images, which works for types without an equality, such as json.
func Compare(ctx context.Context, tx pgx.Tx, a, b string) (int64, error) {
	rows, err := tx.Query(ctx, tablesSQL, b)
	if err != nil {
		return 0, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[keyedTable])
	if err != nil {
		return 0, err
	}
	var total int64
	for _, t := range tables {
		var n int64
		if err := tx.QueryRow(ctx, t.differSQL(a, b)).Scan(&n); err != nil {
			return 0, fmt.Errorf("table %s: %w", t.Name, err)
		}
		total += n
	}
	return total, nil
}

func (t keyedTable) differSQL(a, b string) string {
	left, right := pgx.Identifier{a, t.Name}.Sanitize(), pgx.Identifier{b, t.Name}.Sanitize()
	if len(t.Keys) == 0 { // rows have no name: count those that one side has more often
		return fmt.Sprintf(`select greatest(
			(select count(*) from (select l::text from %[1]s l except all select r::text from %[2]s r) x),
			(select count(*) from (select r::text from %[2]s r except all select l::text from %[1]s l) y))`, left, right)
	}
	on := make([]string, len(t.Keys))
	for i, key := range t.Keys {
		on[i] = fmt.Sprintf("%s = %s", t.value("l", key), t.value("r", key))
	}
	key := table.Quote(t.Keys[0])
	return fmt.Sprintf(`select count(*) from %s l full join %s r on %s
		where l.%s is null or r.%s is null or %s *<> %s`, left, right, strings.Join(on, " and "), key, key, t.row("l"), t.row("r"))
}

// row is a record of all columns. Without the cast, Postgres would look for the
// operator in each column's type, which has none.
func (t keyedTable) row(alias string) string {
	values := make([]string, len(t.Columns))
	for i, column := range t.Columns {
		values[i] = t.value(alias, column)
	}
	return "row(" + strings.Join(values, ", ") + ")::record"
}

// value is a column, as text when its type, or its collation, in one schema is not that in the other.
func (t keyedTable) value(alias, column string) string {
	value := alias + "." + table.Quote(column)
	if t.Own[slices.Index(t.Columns, column)] {
		value += `::text collate "C"`
	}
	return value
}
