package projections

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// field is a field of R that a db tag maps to a column.
type field struct {
	name   string
	column string
	index  []int
	goType reflect.Type
}

// fieldsOf lists the fields with db tags; embedded structs count as their fields. One
// without a tag would not survive from batch to batch, so it says db:"-".
func fieldsOf(t reflect.Type) ([]field, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the row type %v must be a struct with db tags", t)
	}
	var list []field
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name := strings.TrimSpace(f.Tag.Get("db"))
		switch {
		case name == "-" || name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
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
		list = append(list, field{name: f.Name, column: name, index: f.Index, goType: f.Type})
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

// column is a column of the table and the field that holds it.
type column struct {
	field
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
	scaled            bool // numeric(p, s)
	length            int  // of char(n)
	canon             canon
}

// shape is how R and the table fit together.
type shape struct {
	table       string
	key         string // key column
	keyType     string
	keyOID      uint32
	keyCollated string   // as SQL, where texts that differ may be equal
	keyAt       []int    // R's field for it; nil when it has none
	columns     []column // without the key
	copies      bool     // COPY can write it
}

// shapeSQL lists the columns of the schema's tables. The search path is on the
// schema, so types made by the DDL come unqualified and stay right when it is
// renamed. Type -1 rather than null: null turns char(n) into char(1). A domain is
// encoded as the type that it is based on. Bind: $1 schema.
const shapeSQL = `
select c.relname, a.attname, format_type(a.atttypid, -1), coalesce(nullif(t.typbasetype, 0), a.atttypid), t.typtype = 'd' or t.typcategory = 'A' or t.typname in ('json', 'jsonb'),
       a.attgenerated <> '' or a.attidentity = 'a', a.attnotnull and not a.atthasdef and a.attidentity = '',
       coalesce(a.attnum = i.indkey[0] and i.indnkeyatts = 1, false), t.typcategory = 'A',
       b.typname, format_type(b.oid, -1), b.typcategory::text, coalesce(el.typcategory::text, ''), greatest(coalesce(nullif(a.atttypmod, -1), nullif(t.typtypmod, -1), 0), 0), case when co.collisdeterministic then '' else coalesce(co.oid::regcollation::text, '') end
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
	Key, Array                bool
	Base, BaseType            string
	Category, Element         string
	Modifier                  int32
	Collation                 string // of which texts that differ may be equal; or empty
}

// readCatalog lists the columns of the schema's tables.
func readCatalog(ctx context.Context, tx pgx.Tx, schema string) ([]catalogColumn, error) {
	rows, err := tx.Query(ctx, shapeSQL, pgx.Identifier{schema}.Sanitize())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[catalogColumn])
}

// fit tells how the fields and the columns fit together, or why they do not.
func fit(types *pgtype.Map, found []catalogColumn, fields []field) (*shape, error) {
	if len(found) == 0 {
		return nil, errors.New("its DDL makes no table")
	}
	s := &shape{table: found[0].Table, copies: true}
	byName := map[string]catalogColumn{}
	for _, c := range found {
		if c.Table != s.table {
			return nil, fmt.Errorf("its DDL makes the tables %s and %s: a Fold has one; use SQL for several", s.table, c.Table)
		}
		byName[c.Name] = c
		if c.Key {
			s.key, s.keyType, s.keyOID = c.Name, c.Type, c.OID
			if c.Collation != "" {
				s.keyCollated = " collate " + c.Collation
			}
		}
	}
	if s.key == "" {
		return nil, fmt.Errorf("table %s needs a primary key of one column", s.table)
	}
	return s, s.match(types, byName, fields)
}

func (s *shape) match(types *pgtype.Map, byName map[string]catalogColumn, fields []field) error {
	switch s.keyOID { // a key comes as text, which COPY cannot take for every type
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.UUIDOID, pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
	default:
		s.copies = false
	}
	for _, f := range fields {
		c, ok := byName[f.column]
		if !ok {
			return fmt.Errorf("table %s has no column %q, which a db tag names", s.table, f.column)
		}
		if c.Computed {
			return fmt.Errorf("column %s of table %s is generated: leave it out of the row type", f.column, s.table)
		}
		delete(byName, f.column)
		if f.column == s.key {
			s.keyAt = f.index
			continue
		}
		_, known := types.TypeForOID(c.OID)
		col := column{field: f, sqlType: c.Type, oid: c.OID}
		col.base, col.baseType, col.category, col.element, col.array = c.Base, c.BaseType, c.Category, c.Element, c.Array
		if c.Modifier >= 4 { // of Postgres: four more than what is written
			col.scaled = c.OID == pgtype.NumericOID
			col.length = int(c.Modifier) - 4
		}
		col.canon = canonOf(&col)
		col.asText = c.Special || !known || (f.goType.Kind() == reflect.Slice && f.goType != reflect.TypeFor[[]byte]())
		if !known {
			s.copies, col.texts = false, c.Array
		}
		s.columns = append(s.columns, col)
	}
	for name, c := range byName {
		if c.Needed && name != s.key {
			return fmt.Errorf("column %s of table %s is not null, has no default and no field in the row type", name, s.table)
		}
	}
	return nil
}

// setKey puts the key into R's field for it, so that a new row looks as a loaded one.
func (s *shape) setKey(tx pgx.Tx, value reflect.Value, key string) error {
	if s.keyAt == nil {
		return nil
	}
	at := value.FieldByIndex(s.keyAt)
	if at.Kind() == reflect.String {
		at.SetString(key)
		return nil
	}
	if err := tx.Conn().TypeMap().Scan(s.keyOID, pgtype.TextFormatCode, []byte(key), at.Addr().Interface()); err != nil {
		return fmt.Errorf("key %q does not fit column %s: %w", key, s.key, err)
	}
	return nil
}

// keepsKey reports an Apply that has changed the key, which would move the row. One that
// names the same key in other words is right, and gets it as the row has it.
func (s *shape) keepsKey(tx pgx.Tx, value reflect.Value, key string) error {
	if s.keyAt == nil {
		return nil
	}
	at := value.FieldByIndex(s.keyAt)
	if at.Kind() == reflect.String && at.String() == key {
		return nil
	}
	fresh := reflect.New(value.Type()).Elem()
	if err := s.setKey(tx, fresh, key); err != nil {
		return err
	}
	right := fresh.FieldByIndex(s.keyAt)
	set := fmt.Sprint(at.Interface())
	if !s.sameKey(at.Kind(), set, fmt.Sprint(right.Interface())) {
		return fmt.Errorf("it changes the key of the row, column %s, from %q to %q: the row of another key is another row", s.key, key, set)
	}
	at.Set(right)
	return nil
}

// sameKey compares a key that Apply has set with the row's. Of texts that only the
// database could compare it says that they are the same: the row keeps its own.
func (s *shape) sameKey(kind reflect.Kind, set, right string) bool {
	if kind != reflect.String {
		return set == right
	}
	canonical, known := s.canonicalKey(set)
	return !known || canonical == right
}
