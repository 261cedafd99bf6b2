package table

import (
	"fmt"
	"reflect"
	"strings"
)

// Field is a field of a row type that a db tag maps to a column.
type Field struct {
	name   string
	column string
	index  []int
	goType reflect.Type
}

// Column is the name of the column.
func (f *Field) Column() string { return f.column }

// fieldsOf lists the fields of a row type, but for those that hold rows of other tables.
func fieldsOf(t reflect.Type) ([]Field, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the row type %v must be a struct with db tags", t)
	}
	var list []Field
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name := strings.TrimSpace(f.Tag.Get("db"))
		switch {
		case name == "-" || name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct || name == "" && isList(f):
			continue
		case f.Anonymous && f.Type.Kind() == reflect.Pointer || throughPointer(t, f.Index):
			return nil, fmt.Errorf("%v embeds %v by a pointer, which is nil in a new row: embed the struct", t, f.Type)
		case name == "":
			return nil, fmt.Errorf("field %s of %v has no db tag, so that it would be lost between two batches: name its column, or say db:\"-\" where that is right", f.Name, t)
		}
		if !f.IsExported() {
			return nil, fmt.Errorf("field %s of %v has a db tag and must be exported", f.Name, t)
		}
		if seen[name] {
			return nil, fmt.Errorf("two fields of %v have the db tag %q", t, name)
		}
		seen[name] = true
		list = append(list, Field{name: f.Name, column: name, index: f.Index, goType: f.Type})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the row type %v has no field with a db tag", t)
	}
	return list, nil
}

// throughPointer reports a field of a struct that is embedded by a pointer.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Pointer {
			return true
		}
		t = f.Type
	}
	return false
}
