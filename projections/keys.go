package projections

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Two texts may be one key: a uuid in capitals, 007 and 7, 1.0 and 1. Then they are one
// row, and its key is written as the type writes it, or as it came first.

// canonicalKey returns the one text of a key whose type is known here, and false where the
// database has to be asked: for other types, and for what only it can read.
func (s *shape) canonicalKey(text string) (string, bool) {
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

// equalKeysSQL gives each text the first one that is the same key. Bind: $1 keys as text.
func (s *shape) equalKeysSQL(t target) string {
	return t.tagged(fmt.Sprintf(`select k, first_value(k) over (partition by k::%s%s order by n) from unnest($1::text[]) with ordinality u (k, n)`, s.keyType, s.keyCollated))
}

// unify makes the texts of one key one text.
func (f *folder[R, E]) unify(ctx context.Context, tx pgx.Tx, t target, touches []touch[E]) error {
	ask := false
	for i := range touches {
		key, known := f.shape.canonicalKey(touches[i].key)
		touches[i].key = key
		ask = ask || !known
	}
	if !ask || len(touches) < 2 {
		return nil
	}
	rows, err := tx.Query(ctx, f.shape.equalKeysSQL(t), newRows[R](touches).keys())
	if err != nil {
		return fmt.Errorf("compare keys of %s: %w", f.shape.table, err)
	}
	first := map[string]string{}
	var key, same string
	if _, err := pgx.ForEachRow(rows, []any{&key, &same}, func() error { first[key] = same; return nil }); err != nil {
		return fmt.Errorf("compare keys of %s: %w", f.shape.table, err)
	}
	for i := range touches {
		touches[i].key = first[touches[i].key]
	}
	return nil
}
