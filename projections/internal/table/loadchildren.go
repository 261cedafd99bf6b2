package table

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// loadSQL returns the statement that reads child rows by the keys of their parents: which of
// the keys it is, what tells the row apart, its xmin and its columns. Bind: an array of texts
// a column of the parent's key.
func (c *child) loadSQL(p Place) string {
	var on, values []string
	for i := range c.keys {
		if name := "t." + Quote(c.keys[i].name); i < c.own() {
			on = append(on, fmt.Sprintf("%s = u.k%d::%s", name, i, c.keys[i].sqlType))
		} else {
			values = append(values, name+"::text")
		}
	}
	values = append(values, "t.xmin::text::bigint")
	params, keys := c.parent.keyArrays()
	return p.sql(fmt.Sprintf(`select u.n, %s%s from unnest(%s) with ordinality u (%s, n) join %s t on %s`,
		strings.Join(values, ", "), joined(c.read()), params, keys, c.qualified(p), strings.Join(on, " and ")))
}

// foundChildren are the child rows in one table, by the place of their parents' keys.
type foundChildren struct {
	*child
	of [][]record
}

func (f *foundChildren) scan(rows pgx.Rows) error {
	var n, xmin int64
	own := make([]string, len(f.keys)-f.own())
	into := []any{&n}
	for i := range own {
		into = append(into, &own[i])
	}
	into = append(into, &xmin)
	first := len(into)
	into = append(into, make([]any, len(f.columns))...)
	for rows.Next() {
		value := reflect.New(f.list.of).Elem()
		for i := range f.columns {
			into[first+i] = value.FieldByIndex(f.columns[i].index).Addr().Interface()
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read it into %v: %w", f.list.of, err)
		}
		for i, text := range own {
			if err := f.setPart(value, f.own()+i, text); err != nil {
				return err
			}
		}
		f.of[n-1] = append(f.of[n-1], record{xmin: uint32(xmin), value: value}) //nolint:gosec // it has 32 bits
	}
	return rows.Err()
}

// take gives rows their children.
func (rs *Rows[R]) take(asked []*Row[R], found []*foundChildren) error {
	for n, r := range asked {
		if !r.Exists {
			continue
		}
		row := reflect.ValueOf(&r.Value).Elem()
		for _, f := range found {
			slices.SortFunc(f.of[n], func(a, b record) int { return f.compare(a.value, b.value) })
			list := row.FieldByIndex(f.list.index)
			for _, c := range f.of[n] {
				list.Set(reflect.Append(list, c.value))
			}
		}
		if err := rs.shape.settleChildren(row, r.text()); err != nil {
			return err
		}
		children := make([]stored, len(found))
		for i, f := range found {
			xmins := make([]uint32, len(f.of[n]))
			for j := range xmins {
				xmins[j] = f.of[n][j].xmin
			}
			children[i] = f.copyOf(row, xmins)
		}
		r.beside().children = children
	}
	return nil
}
