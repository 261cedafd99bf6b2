package projections

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/projections/internal/books"
	"github.com/asof-dev/asof/projections/internal/table"
)

// countedBytes is how large a table may be whose rows are counted: that takes a few
// milliseconds.
const countedBytes = 16 << 20

// tableOf is a table of a build, as the catalog has it.
type tableOf struct {
	build     int64
	oid       uint32
	schema    string
	countable bool // it is small, and the role sees all of its rows
	listed    *BuildTable
}

// buildTablesSQL lists the tables of builds, and whether their rows can be counted. Bind: $1
// builds, $2 bytes.
const buildTablesSQL = `
select b.id, c.oid, b.schema_name, c.relname, coalesce(pg_total_relation_size(c.oid), 0),
       case when c.reltuples < 0 then -1 else c.reltuples end::bigint,
       coalesce(pg_relation_size(c.oid) <= $2 and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
                and not row_security_active(c.oid), false)
from {asof}.builds b
join pg_namespace n on n.nspname = b.schema_name
join pg_class c on c.relnamespace = n.oid and c.relkind = 'r'
where b.id = any($1)
order by b.id, c.relname`

// readTables gives the builds their tables.
func readTables(ctx context.Context, db pg.Querier, k books.Books, builds map[int64]*Build) ([]*tableOf, error) {
	ids := make([]int64, 0, len(builds))
	for id := range builds {
		ids = append(ids, id)
	}
	rows, err := db.Query(ctx, k.SQL(buildTablesSQL), ids, countedBytes)
	if err != nil {
		return nil, err
	}
	var tables []*tableOf
	var t tableOf
	listed := BuildTable{Estimated: true}
	_, err = pgx.ForEachRow(rows, []any{&t.build, &t.oid, &t.schema, &listed.Name, &listed.Bytes, &listed.Rows, &t.countable}, func() error {
		found := t
		tables = append(tables, &found)
		b := builds[t.build]
		b.Tables = append(b.Tables, listed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	next := map[int64]int{} // the slices do not grow any more
	for _, t := range tables {
		t.listed = &builds[t.build].Tables[next[t.build]]
		next[t.build]++
	}
	return tables, nil
}

// namedSQL is what a name means now, whatever the snapshot. Bind: $1 table.
const namedSQL = `select coalesce(to_regclass($1)::oid, 0)`

// countRows counts the rows of tables that can be counted. A name is of another table, or
// of none, when builds are switched meanwhile: that gives errRenamed.
func countRows(ctx context.Context, tx pgx.Tx, tables []*tableOf) error {
	for _, t := range tables {
		if !t.countable {
			continue
		}
		name := table.Quote(t.schema) + "." + table.Quote(t.listed.Name)
		if err := tx.QueryRow(ctx, `select count(*) from `+name).Scan(&t.listed.Rows); err != nil {
			return err
		}
		t.listed.Estimated = false
		var now uint32
		if err := tx.QueryRow(ctx, namedSQL, name).Scan(&now); err != nil {
			return err
		}
		if now != t.oid {
			return errRenamed
		}
	}
	return nil
}
