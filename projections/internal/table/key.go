package table

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// Two texts may be one key: a uuid in capitals, 007 and 7, 1.0 and 1, and what the column
// cuts or rounds. Then they are one row. Its key is written as the type writes it; where a
// type writes equal values differently, as it was when the row came to be.

// keyColumn is a column of the primary key.
type keyColumn struct {
	name, sqlType string
	oid           uint32
	kind          kind
	rounded       string // type to which a value is rounded on its way; empty where it is not
	collated      string // as SQL, where texts that differ may be equal
	at            []int  // the field for it; nil when it has none
}

// canonical returns the one text of a value whose type is known here, and false where the
// database has to be asked: for other types, and for what only it can read.
func (k *keyColumn) canonical(text string) (string, bool) {
	switch k.oid {
	case pgtype.TextOID:
		return text, k.collated == ""
	case pgtype.VarcharOID:
		return k.cut(text), k.collated == ""
	case pgtype.BPCharOID:
		return strings.TrimRight(text, " "), k.collated == ""
	case pgtype.UUIDOID:
		if id, err := uuid.Parse(text); err == nil {
			return id.String(), true
		}
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return strconv.FormatInt(n, 10), true
		}
	case pgtype.NumericOID:
		if number, err := k.kind.number()([]byte(text)); err == nil {
			return k.trimmed(string(number)), true
		}
	}
	return text, false
}

// cut leaves out spaces for which a varchar has no room. Of more the database says that it
// is too long.
func (k *keyColumn) cut(text string) string {
	if room := int(k.kind.modifier) - 4; room >= 0 {
		for i := range text {
			if room == 0 && strings.TrimRight(text[i:], " ") == "" {
				return text[:i]
			}
			room--
		}
	}
	return text
}

// trimmed is a number without the zeros at its end that tell it from no other.
func (k *keyColumn) trimmed(number string) string {
	if k.kind.modifier < 0 && strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	return number
}

// plain reports that no text asks the database.
func (k *keyColumn) plain() bool { _, known := k.canonical("0"); return known }

// textSQL is a value as its one text, or as one of several.
func (k *keyColumn) textSQL(value string) string {
	switch {
	case k.oid == pgtype.NumericOID && k.kind.modifier < 0:
		return "trim_scale(" + value + ")::text"
	case k.oid == pgtype.TimestamptzOID: // whatever the session's time zone; infinity has none
		return "replace(replace((" + value + " at time zone 'UTC')::text || '+00', ' BC+00', '+00 BC'), 'infinity+00', 'infinity')"
	default:
		return value + "::text"
	}
}

// copies reports a type that COPY can take as text.
func (k *keyColumn) copies() bool {
	switch k.oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.UUIDOID, pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		return true
	default:
		return false
	}
}

// canonicalKey returns the one text of a key, and false where the database has to be asked.
func (s *Shape) canonicalKey(text string) (string, bool) {
	if len(s.keys) == 1 {
		return s.keys[0].canonical(text)
	}
	parts := s.split(text, make([]string, 0, len(s.keys)))
	known := true
	for i := range parts {
		part, ok := s.keys[i].canonical(parts[i])
		parts[i], known = part, known && ok
	}
	return s.join(parts), known
}

// equalKeysSQL gives each key the texts of the first one that is the same key, and its own,
// as the types of the columns write them. Bind: an array of texts a column of the key.
func (s *Shape) equalKeysSQL(p Place) string {
	n := len(s.keys)
	values, by, first, own := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i := range s.keys {
		k := &s.keys[i]
		kept := k.sqlType
		if k.rounded != "" {
			kept = k.rounded
		}
		value := fmt.Sprintf("v%d", i)
		values[i] = fmt.Sprintf("k%d::%s %s", i, kept, value)
		by[i] = value + k.collated
		own[i] = k.textSQL(value)
		first[i] = fmt.Sprintf("first_value(%s) over w", own[i])
	}
	params, names := s.keyArrays()
	return p.sql(fmt.Sprintf(`select n, array[%s], array[%s] from (select n, %s from unnest(%s) with ordinality u (%s, n)) v window w as (partition by %s order by n)`,
		strings.Join(first, ", "), strings.Join(own, ", "), strings.Join(values, ", "), params, names, strings.Join(by, ", ")))
}

// keyArrays are the columns of keys as arrays: the first parameters, and their names.
func (s *Shape) keyArrays() (params, names string) {
	p, n := make([]string, len(s.keys)), make([]string, len(s.keys))
	for i := range s.keys {
		p[i], n[i] = fmt.Sprintf("$%d::text[]", i+1), fmt.Sprintf("k%d", i)
	}
	return strings.Join(p, ", "), strings.Join(n, ", ")
}

// keyValues are the key's columns as u has them, and as they are named.
func (s *Shape) keyValues() (values, names string) {
	v, n := make([]string, len(s.keys)), make([]string, len(s.keys))
	for i := range s.keys {
		v[i], n[i] = fmt.Sprintf("u.k%d::%s", i, s.keys[i].sqlType), Quote(s.keys[i].name)
	}
	return strings.Join(v, ", "), strings.Join(n, ", ")
}

// sameKey joins a row t of the table to a key in u.
func (s *Shape) sameKey() string {
	on := make([]string, len(s.keys))
	for i := range s.keys {
		on[i] = fmt.Sprintf("t.%s = u.k%d::%s", Quote(s.keys[i].name), i, s.keys[i].sqlType)
	}
	return strings.Join(on, " and ")
}

// setKey puts the key into the row's fields for it, so that a new row looks as a loaded one.
func (s *Shape) setKey(value reflect.Value, key string) error {
	if len(s.keys) == 1 {
		return s.setPart(value, 0, key)
	}
	for i, part := range s.split(key, nil) {
		if err := s.setPart(value, i, part); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shape) setPart(value reflect.Value, i int, text string) error {
	k := &s.keys[i]
	if k.at == nil {
		return nil
	}
	at := value.FieldByIndex(k.at)
	if at.Kind() == reflect.String {
		at.SetString(text)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.types.Scan(k.oid, pgtype.TextFormatCode, []byte(text), at.Addr().Interface()); err != nil {
		return fmt.Errorf("key %q does not fit column %s: %w", text, k.name, err)
	}
	return nil
}

// keyOf appends the columns of the key as the row has them, where they are plain values;
// nil for others, and for the one text that a key may be, which keepsKey knows already.
func (s *Shape) keyOf(value reflect.Value, list []any) []any {
	for i := range s.keys {
		var is any
		if s.keys[i].at != nil {
			switch at := value.FieldByIndex(s.keys[i].at); at.Kind() {
			case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Array:
				is = at.Interface()
			case reflect.String:
				if len(s.keys) > 1 {
					is = at.Interface()
				}
			default:
			}
		}
		list = append(list, is)
	}
	return list
}

// keepsKey reports an Apply that has changed the key, which would move the row. One that
// names the same key in other words is right, and gets it as the row has it. Before is what
// keyOf has returned before Apply.
func (s *Shape) keepsKey(value reflect.Value, before []any, key string) error {
	for i := range s.keys {
		k := &s.keys[i]
		if k.at == nil {
			continue
		}
		at := value.FieldByIndex(k.at)
		if before[i] == nil && at.Kind() == reflect.String && at.String() == key || before[i] != nil && at.Interface() == before[i] {
			continue
		}
		if err := s.keepsPart(value, i, key); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shape) keepsPart(value reflect.Value, i int, key string) error {
	fresh := reflect.New(value.Type()).Elem()
	if err := s.setKey(fresh, key); err != nil {
		return err
	}
	k := &s.keys[i]
	at, right := value.FieldByIndex(k.at), fresh.FieldByIndex(k.at)
	set := fmt.Sprint(at.Interface())
	if !k.same(at.Kind(), set, fmt.Sprint(right.Interface())) {
		return fmt.Errorf("it changes the key of the row, column %s, from %q to %q: the row of another key is another row", k.name, s.split(key, nil)[i], set)
	}
	at.Set(right)
	return nil
}

// same compares a value of the key that Apply has set with the row's. Of texts that only the
// database could compare it says that they are the same: the row keeps its own.
func (k *keyColumn) same(kind reflect.Kind, set, right string) bool {
	if kind != reflect.String {
		return set == right
	}
	canonical, known := k.canonical(set)
	return !known || canonical == right
}
