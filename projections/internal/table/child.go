package table

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// A row may have child rows, in tables of their own, as an order has lines. In memory they
// are lists of the row and change with it; in a table each is a row, whose primary key is
// that of its parent and then what tells it from the others of the parent. So a row and its
// children are one thing to all that is not in this room: one key, one lookup, one Apply.

// child is the table of the child rows in one list of a row type.
type child struct {
	*Shape
	parent *Shape
	list   List
}

// own is where its own part of the key begins: before it is the parent's.
func (c *child) own() int { return len(c.parent.keys) }

// tables are that of the rows, then those of their children in the order of the row type.
func (s *Shape) tables() []*Shape {
	list := []*Shape{s}
	for i := range s.children {
		list = append(list, s.children[i].Shape)
	}
	return list
}

// list returns the list whose child rows a table has, if there is one.
func (rt *RowType) list(table string) *List {
	for i := range rt.Lists {
		if rt.Lists[i].table == table {
			return &rt.Lists[i]
		}
	}
	return nil
}

// adopt takes the tables of the lists as those of its children.
func (s *Shape) adopt(lists []List, fitted map[string]*Shape) error {
	for _, list := range lists {
		t := fitted[list.table]
		if t == nil {
			return fmt.Errorf("its DDL makes no table %s, which the rows tag of field %s names", list.table, list.name)
		}
		c := child{t, s, list}
		if err := c.hangsOn(s); err != nil {
			return err
		}
		s.children = append(s.children, c)
		s.copies = s.copies && t.copies
	}
	return nil
}

// hangsOn refuses a table whose primary key does not tell whose child a row is, and which.
func (c *child) hangsOn(parent *Shape) error {
	if len(c.keys) <= len(parent.keys) {
		return fmt.Errorf("the primary key of table %s has %d columns: child rows need those of %s and then at least one that tells them apart", c.Name, len(c.keys), parent.Name)
	}
	for i := range parent.keys {
		if k, p := &c.keys[i], &parent.keys[i]; k.oid != p.oid || k.sqlType != p.sqlType || k.collated != p.collated || k.kind.modifier != p.kind.modifier {
			return fmt.Errorf("the primary key of table %s begins with %s %s: of child rows it must begin as that of %s does, with %s%s of the same length or scale", c.Name, k.name, k.sqlType, parent.Name, p.sqlType, p.collated)
		}
	}
	for i := c.own(); i < len(c.keys); i++ {
		k := &c.keys[i]
		if k.at == nil {
			return fmt.Errorf("column %s tells rows of table %s apart, and %v has no field for it", k.name, c.Name, c.list.of)
		}
		if t := c.list.of.FieldByIndex(k.at).Type; !k.copies() || k.collated != "" || !k.tells(t) {
			return fmt.Errorf("column %s tells rows of table %s apart, and is %s%s in a field of type %v: make it a text in a string, a whole number in an int, or a uuid", k.name, c.Name, k.sqlType, k.collated, t)
		}
	}
	return nil
}

// tells reports a field that tells child rows apart as the column does.
func (k *keyColumn) tells(t reflect.Type) bool {
	switch k.oid {
	case pgtype.TextOID, pgtype.VarcharOID:
		return t.Kind() == reflect.String
	case pgtype.UUIDOID:
		return t.Kind() == reflect.String || t.ConvertibleTo(reflect.TypeFor[[16]byte]())
	default:
		return t.Kind() == reflect.Int || t.Kind() == reflect.Int16 || t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64
	}
}

// compare orders child rows of one parent by what tells them apart.
func (c *child) compare(a, b reflect.Value) int {
	for i := c.own(); i < len(c.keys); i++ {
		if n := compareKeys(a.FieldByIndex(c.keys[i].at), b.FieldByIndex(c.keys[i].at)); n != 0 {
			return n
		}
	}
	return 0
}

func compareKeys(a, b reflect.Value) int {
	switch a.Kind() {
	case reflect.String:
		return cmp.Compare(a.String(), b.String())
	case reflect.Array:
		for i := range a.Len() {
			if n := cmp.Compare(a.Index(i).Uint(), b.Index(i).Uint()); n != 0 {
				return n
			}
		}
		return 0
	default:
		return cmp.Compare(a.Int(), b.Int())
	}
}

// keyText is the key of a child row; the columns of its parent's are given.
func (c *child) keyText(parent []string, row reflect.Value) string {
	parts := slices.Clone(parent)
	for i := c.own(); i < len(c.keys); i++ {
		switch at := row.FieldByIndex(c.keys[i].at); at.Kind() {
		case reflect.String:
			parts = append(parts, at.String())
		case reflect.Array:
			parts = append(parts, uuid.UUID(at.Convert(reflect.TypeFor[[16]byte]()).Interface().([16]byte)).String()) //nolint:forcetypeassert // just converted
		default:
			parts = append(parts, strconv.FormatInt(at.Int(), 10))
		}
	}
	return c.join(parts)
}

// settleChildren makes the child rows of a row what reading them back gives: in the order of
// their keys, each once, with the key of their parent.
func (s *Shape) settleChildren(row reflect.Value, key string) error {
	for i := range s.children {
		c := &s.children[i]
		if err := c.settle(row.FieldByIndex(c.list.index), s.split(key, nil)); err != nil {
			return valueError{fmt.Errorf("field %s, rows of table %s: %w", c.list.name, c.Name, err)}
		}
	}
	return nil
}

func (c *child) settle(list reflect.Value, parent []string) error {
	if list.Len() == 0 {
		list.SetZero()
		return nil
	}
	named := reflect.New(c.list.of).Elem() // has the key of the parent
	for i, part := range parent {
		if err := c.setPart(named, i, part); err != nil {
			return err
		}
	}
	sorted := true
	for i := range list.Len() {
		row := list.Index(i)
		if err := c.settleRow(row, named); err != nil {
			return err
		}
		sorted = sorted && (i == 0 || c.compare(list.Index(i-1), row) < 0)
	}
	if sorted {
		return nil
	}
	own := make([]reflect.Value, list.Len()) // its place in memory may be another list's too
	for i := range own {
		own[i] = list.Index(i)
	}
	slices.SortStableFunc(own, c.compare)
	ordered := reflect.MakeSlice(list.Type(), 0, len(own))
	for i, row := range own {
		if i > 0 && c.compare(own[i-1], row) == 0 {
			return fmt.Errorf("two have the key %q", c.keyText(parent, row))
		}
		ordered = reflect.Append(ordered, row)
	}
	list.Set(ordered)
	return nil
}

// settleRow makes a child row what reading it back gives.
func (c *child) settleRow(row, named reflect.Value) error {
	for i := range c.keys {
		k := &c.keys[i]
		if k.at == nil {
			continue
		}
		at := row.FieldByIndex(k.at)
		if i >= c.own() {
			if at.Kind() != reflect.String {
				continue
			}
			text, known := k.canonical(at.String())
			if !known {
				return fmt.Errorf("%q in field %s is no %s", at.String(), c.list.of.FieldByIndex(k.at).Name, k.sqlType)
			}
			at.SetString(text)
			continue
		}
		right := named.FieldByIndex(k.at)
		if !at.IsZero() && !reflect.DeepEqual(at.Interface(), right.Interface()) {
			return fmt.Errorf("field %s is %v, and its parent's key is %v: leave it empty, it is set", c.list.of.FieldByIndex(k.at).Name, at.Interface(), right.Interface())
		}
		at.Set(right)
	}
	return c.canonical(row)
}
