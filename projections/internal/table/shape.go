package table

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// column is a column of the table and the field that holds it.
type column struct {
	Field
	sqlType string
	oid     uint32
	// asText: values are sent as text and cast. Arrays would be flattened by unnest,
	// and pgx does not know the types that a service has made.
	asText bool
	// texts: an array of such a type is read and written as one of text.
	texts bool

	base, baseType    string // type that a domain is of, and how it is written
	category, element string // pg_type.typcategory, also of an array's elements
	array             bool
	modifier          int32 // what is written behind the type, as Postgres keeps it; -1: nothing
	canon             canon
}

// Shape is how a row type and a table fit together, and its lists and the tables of its
// child rows. It is safe for concurrent use.
type Shape struct {
	Name string // of the table

	keys     []keyColumn // in the order of the primary key
	columns  []column    // without the key
	canons   []int       // columns that have a canon
	copies   bool        // COPY can write it
	triggers bool        // what is written may be changed on its way
	children []child
	lost     []string

	mu    sync.Mutex
	types *pgtype.Map // of the connection that the table was looked at with
}

// shapeSQL lists the columns of the schema's tables. The search path is on the
// schema, so types made by the DDL come unqualified and stay right when it is
// renamed. Type -1 rather than null: null turns char(n) into char(1). A domain is
// encoded as the type that it is based on. Bind: $1 schema.
const shapeSQL = `
select c.relname, a.attname, case when t.typnamespace = c.relnamespace then '` + here + `' else '' end || format_type(a.atttypid, -1), coalesce(nullif(t.typbasetype, 0), a.atttypid), t.typtype = 'd' or t.typcategory = 'A' or t.typname in ('json', 'jsonb'),
       a.attgenerated <> '' or a.attidentity = 'a', a.attnotnull and not a.atthasdef and a.attidentity = '',
       coalesce((select k.n from unnest(i.indkey::int2[]) with ordinality k (attnum, n) where k.attnum = a.attnum and k.n <= i.indnkeyatts), 0), coalesce(not i.indimmediate, false), t.typcategory = 'A',
       b.typname, format_type(b.oid, -1), b.typcategory::text, coalesce(el.typcategory::text, ''), b.typtype = 'd', coalesce(nullif(a.atttypmod, -1), t.typtypmod),
       case when co.collisdeterministic then '' else coalesce(case when co.collnamespace = c.relnamespace then '` + here + `' else '' end || co.oid::regcollation::text, '') end,
       case when b.typname in ('numeric', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval') then format_type(b.oid, coalesce(nullif(a.atttypmod, -1), t.typtypmod)) else '' end,
       exists (select from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal) or exists (select from pg_rewrite w where w.ev_class = c.oid) or c.relforcerowsecurity
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
left join pg_type el on el.oid = b.typelem and b.typcategory = 'A'
left join pg_collation co on co.oid = a.attcollation
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
order by c.relname, a.attnum`

type catalogColumn struct {
	Table, Name, Type         string
	OID                       uint32
	Special, Computed, Needed bool
	Key                       int64 // which column of the primary key it is, from 1; 0: none
	Deferrable, Array         bool
	Base, BaseType            string
	Category, Element         string
	Nested                    bool // a domain over a domain
	Modifier                  int32
	Collation                 string // of which texts that differ may be equal; or empty
	Rounded                   string // type to which a value is cut or rounded on its way; or empty
	Triggers                  bool
}

// readCatalog lists the columns of the schema's tables.
func readCatalog(ctx context.Context, tx pgx.Tx, schema string) ([]catalogColumn, error) {
	rows, err := tx.Query(ctx, shapeSQL, pgx.Identifier{schema}.Sanitize())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[catalogColumn])
}

// Fit looks at the tables of a schema, on which the search path is, and tells how a row type
// and they fit together. Why they do not is a [MismatchError]; another error is the
// database's.
func Fit(ctx context.Context, tx pgx.Tx, schema string, rt *RowType) (*Shape, error) {
	found, err := readCatalog(ctx, tx, schema)
	if err != nil {
		return nil, err
	}
	s, err := fit(inUTC(tx.Conn().TypeMap()), found, rt)
	if err != nil {
		return nil, MismatchError{err}
	}
	for _, t := range s.tables() {
		if err := t.readable(ctx, tx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// fit tells which table is of which rows. What comes of a table stands together.
func fit(types *pgtype.Map, found []catalogColumn, rt *RowType) (*Shape, error) {
	var s *Shape
	lists := map[string]*Shape{}
	for len(found) > 0 {
		n := slices.IndexFunc(found, func(c catalogColumn) bool { return c.Table != found[0].Table })
		if n < 0 {
			n = len(found)
		}
		columns := found[:n]
		found = found[n:]
		fields := rt.Fields
		list := rt.list(columns[0].Table)
		if list != nil {
			fields = list.fields
		}
		fitted, err := fitTable(types, columns, fields)
		switch {
		case list == nil && s != nil:
			return nil, fmt.Errorf("its DDL makes the tables %s and %s: a Fold has one, and one for each list of child rows: give a slice in the row type the tag `rows:%q`, or use Statements", s.Name, columns[0].Table, columns[0].Table)
		case err != nil:
			return nil, err
		case list != nil:
			lists[list.table] = fitted
		default:
			s = fitted
		}
	}
	if s == nil {
		return nil, errors.New("its DDL makes no table")
	}
	s.lost = rt.lost()
	return s, s.adopt(rt.Lists, lists)
}

// fitTable tells how fields and the columns of a table fit together.
func fitTable(types *pgtype.Map, columns []catalogColumn, fields []Field) (*Shape, error) {
	first := columns[0]
	s := &Shape{Name: first.Table, copies: true, types: types, keys: keysOf(columns), triggers: first.Triggers}
	byName := map[string]catalogColumn{}
	for _, c := range columns {
		byName[c.Name] = c
	}
	if first.Deferrable {
		return nil, fmt.Errorf("the primary key of table %s is deferrable, so that it cannot tell whether a row is there: leave deferrable out", s.Name)
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("table %s needs a primary key", s.Name)
	}
	return s, s.match(byName, fields)
}

// keysOf lists the columns of the primary key, in its order.
func keysOf(found []catalogColumn) []keyColumn {
	var keys []keyColumn
	for n := int64(1); ; n++ {
		i := slices.IndexFunc(found, func(c catalogColumn) bool { return c.Key == n })
		if i < 0 {
			return keys
		}
		k := keyColumn{name: found[i].Name, sqlType: found[i].Type, oid: found[i].OID, rounded: found[i].Rounded, kind: kind{base: found[i].Base, modifier: found[i].Modifier}}
		if found[i].Collation != "" {
			k.collated = " collate " + found[i].Collation
		}
		keys = append(keys, k)
	}
}

// key returns a column of the primary key by its name.
func (s *Shape) key(name string) *keyColumn {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	return nil
}

func (s *Shape) match(byName map[string]catalogColumn, fields []Field) error {
	for i := range s.keys { // a key comes as text, which COPY cannot take for every type
		s.copies = s.copies && s.keys[i].copies()
	}
	for _, f := range fields {
		c, ok := byName[f.column]
		if !ok {
			return fmt.Errorf("table %s has no column %q, which a db tag names", s.Name, f.column)
		}
		if c.Nested {
			return fmt.Errorf("column %s of table %s is of a domain over a domain: make it one over the type itself", f.column, s.Name)
		}
		if c.Computed {
			return fmt.Errorf("column %s of table %s is generated: leave it out of the row type", f.column, s.Name)
		}
		delete(byName, f.column)
		if k := s.key(f.column); k != nil {
			k.at = f.index
			continue
		}
		_, known := s.types.TypeForOID(c.OID)
		col := column{Field: f, sqlType: c.Type, oid: c.OID}
		col.base, col.baseType, col.category, col.element, col.array = c.Base, c.BaseType, c.Category, c.Element, c.Array
		col.modifier = c.Modifier
		col.asText = c.Special || !known || (f.goType.Kind() == reflect.Slice && f.goType != reflect.TypeFor[[]byte]())
		if !known {
			s.copies, col.texts = false, c.Array
		}
		s.columns = append(s.columns, col)
	}
	for name, c := range byName {
		if c.Needed && s.key(name) == nil {
			return fmt.Errorf("column %s of table %s is not null, has no default and no field in the row type", name, s.Name)
		}
	}
	return nil
}
