package table

import (
	"fmt"
	"strings"
)

// deleteSQL removes rows by primary key, that are still what they were. Bind: an array
// of texts a column of the key, then the xmin of each.
func (s *Shape) deleteSQL(p Place) string {
	same := " and t.xmin = u.x::text::xid"
	if s.triggers {
		same = ""
	}
	params, names := s.keyArrays()
	return p.sql(fmt.Sprintf(`delete from %s t using unnest(%s, $%d::bigint[]) u (%s, x) where %s%s`,
		s.qualified(p), params, len(s.keys)+1, names, s.sameKey(), same))
}

// arrays are the columns of rows as arrays: parameters after those of the key,
// their names, and the values that they are made into.
func (s *Shape) arrays() (params, names, values []string) {
	for i, c := range s.columns {
		name := fmt.Sprintf("c%d", i)
		n := len(s.keys) + i + 1
		param, value := fmt.Sprintf("$%d::%s[]", n, c.sqlType), "u."+name
		if c.asText {
			param, value = fmt.Sprintf("$%d::text[]", n), fmt.Sprintf("u.%s::%s", name, c.sqlType)
		}
		params, names, values = append(params, param), append(names, name), append(values, value)
	}
	return params, names, values
}

// joined is a list as it stands behind another element.
func joined(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return ", " + strings.Join(list, ", ")
}

func (s *Shape) names() []string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = Quote(c.column)
	}
	return names
}

// insertSQL writes any number of new rows in one statement, and leaves out those that
// somebody else has written. Where triggers decide what is written it takes rows that are
// there too. Bind: an array of texts a column of the key, then an array a column.
func (s *Shape) insertSQL(p Place) string {
	params, names, values := s.arrays()
	action := "nothing"
	if s.triggers && len(names) > 0 {
		action = "update set " + s.sets("excluded.")
	}
	keyParams, keyNames := s.keyArrays()
	keyValues, keyColumns := s.keyValues()
	return p.sql(fmt.Sprintf(`insert into %s (%s%s) select %s%s from unnest(%s%s) u (%s%s) on conflict (%[2]s) do %[10]s`,
		s.qualified(p), keyColumns, joined(s.names()), keyValues, joined(values), keyParams, joined(params), keyNames, joined(names), action))
}

func (s *Shape) sets(from string) string {
	sets := make([]string, len(s.columns))
	for i, name := range s.names() {
		sets[i] = name + " = " + from + name
	}
	return strings.Join(sets, ", ")
}

// updateSQL changes any number of rows in one statement, that are still what they were.
// Bind: as for insertSQL, then the xmin of each. Where triggers decide what is written it
// is insertSQL.
func (s *Shape) updateSQL(p Place) string {
	if s.triggers {
		return s.insertSQL(p)
	}
	params, names, values := s.arrays()
	params, names = append(params, fmt.Sprintf("$%d::bigint[]", len(s.keys)+len(s.columns)+1)), append(names, "x")
	sets := make([]string, len(s.columns))
	for i, name := range s.names() {
		sets[i] = name + " = " + values[i]
	}
	if len(sets) == 0 { // a table of keys: nothing can change, but it must still be there
		sets = []string{Quote(s.keys[0].name) + " = t." + Quote(s.keys[0].name)}
	}
	keyParams, keyNames := s.keyArrays()
	return p.sql(fmt.Sprintf(`update %s t set %s from unnest(%s%s) u (%s%s) where %s and t.xmin = u.x::text::xid`,
		s.qualified(p), strings.Join(sets, ", "), keyParams, joined(params), keyNames, joined(names), s.sameKey()))
}
