package table

import (
	"fmt"
	"reflect"
	"strings"
)

// RowType is how a row type maps to tables: its fields to columns, and its lists to the
// tables of its child rows.
type RowType struct {
	Fields []Field
	Lists  []List
	goType reflect.Type
}

// List is a field that holds the child rows of a row: a slice of structs, with the name of
// their table in a rows tag.
type List struct {
	name   string
	table  string
	index  []int
	of     reflect.Type // of a child row
	fields []Field
}

const listTag = "rows"

func isList(f reflect.StructField) bool { _, list := f.Tag.Lookup(listTag); return list }

// TypeOf looks at a row type. It refuses one in which something would be lost between two
// batches.
func TypeOf(t reflect.Type) (*RowType, error) {
	fields, err := fieldsOf(t)
	if err != nil {
		return nil, err
	}
	rt := &RowType{Fields: fields, goType: t}
	for _, f := range reflect.VisibleFields(t) {
		if !isList(f) {
			continue
		}
		list, err := listOf(t, f)
		if err != nil {
			return nil, err
		}
		for i := range rt.Lists {
			if rt.Lists[i].table == list.table {
				return nil, fmt.Errorf("fields %s and %s of %v have the same rows tag %q: a table has the rows of one", rt.Lists[i].name, list.name, t, list.table)
			}
		}
		rt.Lists = append(rt.Lists, list)
	}
	return rt, nil
}

func listOf(t reflect.Type, f reflect.StructField) (List, error) {
	list := List{name: f.Name, table: strings.TrimSpace(f.Tag.Get(listTag)), index: f.Index}
	refuse := func(what string) (List, error) {
		return list, fmt.Errorf("field %s of %v has a rows tag and %s", f.Name, t, what)
	}
	_, column := f.Tag.Lookup("db")
	switch {
	case list.table == "":
		return refuse("it is empty: name the table of the child rows")
	case column:
		return refuse("a db tag: it is a column, or a list of child rows")
	case !f.IsExported():
		return refuse("must be exported")
	case throughPointer(t, f.Index):
		return refuse("lies in a struct that is embedded by a pointer, which is nil in a new row: embed the struct")
	case f.Type.Kind() != reflect.Slice || f.Type.Elem().Kind() != reflect.Struct:
		return refuse(fmt.Sprintf("is %v: make it a slice of structs, the child rows", f.Type))
	}
	list.of = f.Type.Elem()
	for _, inner := range reflect.VisibleFields(list.of) {
		if isList(inner) {
			return refuse(fmt.Sprintf("its child rows have some of their own in %s: give that list to %v too", inner.Name, t))
		}
	}
	var err error
	list.fields, err = fieldsOf(list.of)
	return list, err
}

// lost are the fields that have no column.
func (rt *RowType) lost() []string {
	list := lostOf(rt.goType, "")
	for i := range rt.Lists {
		list = append(list, lostOf(rt.Lists[i].of, rt.Lists[i].name+".")...)
	}
	return list
}

func lostOf(t reflect.Type, prefix string) (list []string) {
	for _, f := range reflect.VisibleFields(t) {
		if strings.TrimSpace(f.Tag.Get("db")) == "-" {
			list = append(list, prefix+f.Name)
		}
	}
	return list
}
