package projectiontest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/projections/internal/rehearsal"
)

// image is what stands in the tables.
type image []tableImage

type tableImage struct {
	name    string
	columns []column // that are compared
	key     []int    // columns of the primary key; none when one of them is not compared
	rows    [][]*string
}

// column is a column of a table.
type column struct {
	Table, Name, Type string
	Category          string // pg_type.typcategory
	Key               bool
	Filled            bool // by the database, with what the events do not determine
	Generated         bool
}

// columnsSQL lists the columns of the tables in the first schema of the search path. A
// default is one of the database's own where it calls a function that is not immutable; of
// a domain, it is that of the type.
const columnsSQL = `
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory::text, coalesce(a.attnum = any(i.indkey), false),
       a.attidentity <> '' or coalesce(e.tree ~ '\{SQLVALUEFUNCTION|\{NEXTVALUEEXPR' or exists (
           select from regexp_matches(e.tree, ':(?:op)?funcid ([0-9]+)', 'g') f (id) join pg_proc p on p.oid = f.id[1]::oid
           where p.provolatile <> 'i'), false),
       a.attgenerated <> ''
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
cross join lateral (select coalesce(d.adbin, t.typdefaultbin)::text) e (tree)
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
order by c.relname, a.attnum`

// reference is a column that says which row of another table is meant.
type reference struct{ Table, Column, Other, OtherColumn string }

// referencesSQL lists them.
const referencesSQL = `
select c.relname, a.attname, o.relname, b.attname
from pg_constraint k
join pg_class c on c.oid = k.conrelid and c.relnamespace = current_schema()::regnamespace
join pg_class o on o.oid = k.confrelid
cross join lateral unnest(k.conkey, k.confkey) u (mine, its)
join pg_attribute a on a.attrelid = c.oid and a.attnum = u.mine
join pg_attribute b on b.attrelid = o.oid and b.attnum = u.its
where k.contype = 'f'`

// look reads the tables.
type look struct {
	stage   *rehearsal.Stage
	without []string
	image   image
}

func (l *look) read(ctx context.Context, tx pgx.Tx) error {
	columns, err := collect[column](ctx, tx, columnsSQL)
	if err != nil {
		return fmt.Errorf("list the columns: %w", err)
	}
	references, err := collect[reference](ctx, tx, referencesSQL)
	if err != nil {
		return fmt.Errorf("list the references: %w", err)
	}
	if err := l.known(columns); err != nil {
		return err
	}
	left := l.leftOut(columns, references)
	for _, c := range columns {
		if n := len(l.image); n == 0 || l.image[n-1].name != c.Table {
			l.image = append(l.image, tableImage{name: c.Table})
		}
		t := &l.image[len(l.image)-1]
		if !left[[2]string{c.Table, c.Name}] {
			t.columns = append(t.columns, c)
		}
	}
	l.image = slices.DeleteFunc(l.image, func(t tableImage) bool { return slices.Contains(l.without, t.name) })
	for i := range l.image {
		if err := l.image[i].read(ctx, tx, columns); err != nil {
			return fmt.Errorf("read table %s: %w", l.image[i].name, err)
		}
	}
	return nil
}

func collect[T any](ctx context.Context, tx pgx.Tx, sql string) ([]T, error) {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// known refuses what Without names and the tables do not have.
func (l *look) known(columns []column) error {
	for _, name := range l.without {
		if !slices.ContainsFunc(columns, func(c column) bool { return name == c.Table || name == c.Table+"."+c.Name }) {
			return fmt.Errorf("Without(%q): there is no such table or column: say \"table.column\" or \"table\"", name)
		}
	}
	return nil
}

// leftOut tells which columns are not compared.
func (l *look) leftOut(columns []column, references []reference) map[[2]string]bool {
	left := map[[2]string]bool{}
	for _, c := range columns {
		filled := c.Filled && !slices.Contains(l.stage.Columns, c.Table+"."+c.Name)
		if filled || c.Generated || slices.Contains(l.without, c.Table+"."+c.Name) {
			left[[2]string{c.Table, c.Name}] = true
		}
	}
	for range references { // one may lead to the next
		for _, r := range references {
			if left[[2]string{r.Other, r.OtherColumn}] {
				left[[2]string{r.Table, r.Column}] = true
			}
		}
	}
	return left
}

// read reads the rows, each value as text.
func (t *tableImage) read(ctx context.Context, tx pgx.Tx, all []column) error {
	keys := 0
	for _, c := range all {
		if c.Table == t.name && c.Key {
			keys++
		}
	}
	values := make([]string, len(t.columns))
	for i, c := range t.columns {
		values[i] = pgx.Identifier{c.Name}.Sanitize() + "::text"
		if c.Key {
			t.key = append(t.key, i)
		}
	}
	if len(t.key) < keys {
		t.key = nil
	}
	// In this mode the connection keeps no plan of a table that has gone.
	rows, err := tx.Query(ctx, `select array[`+strings.Join(values, ", ")+`]::text[] from `+pgx.Identifier{t.name}.Sanitize(), pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	t.rows, err = pgx.CollectRows(rows, pgx.RowTo[[]*string])
	return err
}

func (i image) empty() bool {
	return !slices.ContainsFunc(i, func(t tableImage) bool { return len(t.rows) > 0 })
}
