package projectiontest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// difference is a row that is not the same in two images.
type difference struct {
	table   string
	row     string // which one; empty: how many there are
	columns []column
	one     string // what it is in the one
	other   string // and in the other
}

// differences lists the rows that differ, by table and by key.
func (i image) differences(other image) []difference {
	var list []difference
	for n := range i {
		list = append(list, i[n].differences(other[n])...)
	}
	return list
}

func (t tableImage) differences(other tableImage) []difference {
	if len(t.key) == 0 {
		return t.countDifferences(other)
	}
	one, two := t.byKey(), other.byKey()
	all := maps.Clone(one)
	maps.Copy(all, two)
	var list []difference
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if d, differ := t.compare(one[key], two[key]); differ {
			d.row = t.words(all[key], t.key)
			list = append(list, d)
		}
	}
	return list
}

func (t tableImage) byKey() map[string][]*string {
	rows := make(map[string][]*string, len(t.rows))
	for _, row := range t.rows {
		rows[t.words(row, t.key)] = row
	}
	return rows
}

// compare says in which columns two rows differ; nil is a row that is not there.
func (t tableImage) compare(one, other []*string) (difference, bool) {
	d := difference{table: t.name}
	switch {
	case one == nil:
		d.one, d.other = "it is not there", "it is "+t.words(other, t.rest())
		return d, true
	case other == nil:
		d.one, d.other = "it is "+t.words(one, t.rest()), "it is not there"
		return d, true
	}
	var at []int
	for i := range t.columns {
		if a, b := one[i], other[i]; (a == nil) != (b == nil) || a != nil && *a != *b {
			at = append(at, i)
			d.columns = append(d.columns, t.columns[i])
		}
	}
	d.one, d.other = t.are(one, at), t.are(other, at)
	return d, len(at) > 0
}

// rest are the columns without the key.
func (t tableImage) rest() []int {
	var at []int
	for i := range t.columns {
		if !slices.Contains(t.key, i) {
			at = append(at, i)
		}
	}
	return at
}

// countDifferences compares rows that have no name: how often each is there.
func (t tableImage) countDifferences(other tableImage) []difference {
	all := t.rest()
	if len(all) == 0 {
		if len(t.rows) == len(other.rows) {
			return nil
		}
		return []difference{{table: t.name, one: fmt.Sprintf("it has %d rows", len(t.rows)), other: fmt.Sprintf("it has %d rows", len(other.rows))}}
	}
	count := func(rows [][]*string) map[string]int {
		counts := map[string]int{}
		for _, row := range rows {
			counts[t.words(row, all)]++
		}
		return counts
	}
	one, two := count(t.rows), count(other.rows)
	both := maps.Clone(one)
	maps.Copy(both, two)
	var list []difference
	for _, row := range slices.Sorted(maps.Keys(both)) {
		if one[row] != two[row] {
			list = append(list, difference{table: t.name, row: row, columns: t.columns, one: times(one[row]), other: times(two[row])})
		}
	}
	return list
}

// where names the row.
func (d difference) where() string {
	if d.row == "" {
		return "table " + d.table
	}
	return "row " + d.row + " of table " + d.table
}

func times(n int) string {
	switch n {
	case 0:
		return "it is not there"
	case 1:
		return "it is there once"
	default:
		return fmt.Sprintf("it is there %d times", n)
	}
}

// words names some values of a row: account=ann cents=5.
func (t tableImage) words(row []*string, at []int) string { return t.join(row, at, "=", " ") }

// are says what they are: cents is 5 and owner is ann.
func (t tableImage) are(row []*string, at []int) string { return t.join(row, at, " is ", " and ") }

func (t tableImage) join(row []*string, at []int, is, and string) string {
	list := make([]string, len(at))
	for n, i := range at {
		list[n] = t.columns[i].Name + is + value(row[i], t.columns[i])
	}
	return strings.Join(list, and)
}

// value writes a value so that one sees where it ends.
func value(text *string, c column) string {
	switch {
	case text == nil:
		return "null"
	case *text == "" || c.Category == "S" && strings.ContainsAny(*text, " \t\n"):
		return fmt.Sprintf("%q", *text)
	default:
		return *text
	}
}
