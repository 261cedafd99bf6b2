package table

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// Two texts may be one key: a uuid in capitals, 007 and 7, 1.0 and 1. Then they are one
// row, and its key is written as the type writes it, or as it came first.

// canonicalKey returns the one text of a key whose type is known here, and false where the
// database has to be asked: for other types, and for what only it can read.
func (s *Shape) canonicalKey(text string) (string, bool) {
	switch s.keyOID {
	case pgtype.TextOID, pgtype.VarcharOID:
		return text, s.keyCollated == ""
	case pgtype.UUIDOID:
		if id, err := uuid.Parse(text); err == nil {
			return id.String(), true
		}
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return strconv.FormatInt(n, 10), true
		}
	}
	return text, false
}

// equalKeysSQL gives each text the one that its type writes, where canonicalKey knows that
// too, or the first one that is the same key. Bind: $1 keys as text.
func (s *Shape) equalKeysSQL(p Place) string {
	if _, known := s.canonicalKey("0"); known || s.keyOID == pgtype.UUIDOID {
		return p.sql(fmt.Sprintf(`select k, k::%s::text from unnest($1::text[]) k`, s.keyType))
	}
	return p.sql(fmt.Sprintf(`select k, first_value(k) over (partition by k::%s%s order by n) from unnest($1::text[]) with ordinality u (k, n)`, s.keyType, s.keyCollated))
}

// setKey puts the key into the row's field for it, so that a new row looks as a loaded one.
func (s *Shape) setKey(value reflect.Value, key string) error {
	if s.keyAt == nil {
		return nil
	}
	at := value.FieldByIndex(s.keyAt)
	if at.Kind() == reflect.String {
		at.SetString(key)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.types.Scan(s.keyOID, pgtype.TextFormatCode, []byte(key), at.Addr().Interface()); err != nil {
		return fmt.Errorf("key %q does not fit column %s: %w", key, s.key, err)
	}
	return nil
}

// keyOf returns the key as the row has it, where it is a plain value and no text, which
// keepsKey knows already.
func (s *Shape) keyOf(value reflect.Value) any {
	if s.keyAt == nil {
		return nil
	}
	switch at := value.FieldByIndex(s.keyAt); at.Kind() {
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Array:
		return at.Interface()
	default:
		return nil
	}
}

// keepsKey reports an Apply that has changed the key, which would move the row. One that
// names the same key in other words is right, and gets it as the row has it. Before is what
// keyOf has returned before Apply.
func (s *Shape) keepsKey(value reflect.Value, before any, key string) error {
	if s.keyAt == nil {
		return nil
	}
	at := value.FieldByIndex(s.keyAt)
	if at.Kind() == reflect.String && at.String() == key || before != nil && at.Interface() == before {
		return nil
	}
	fresh := reflect.New(value.Type()).Elem()
	if err := s.setKey(fresh, key); err != nil {
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
func (s *Shape) sameKey(kind reflect.Kind, set, right string) bool {
	if kind != reflect.String {
		return set == right
	}
	canonical, known := s.canonicalKey(set)
	return !known || canonical == right
}
