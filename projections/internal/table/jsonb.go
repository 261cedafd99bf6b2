package table

import (
	"reflect"

	"github.com/jackc/pgx/v5/pgtype"
)

func jsonb(text []byte) ([]byte, error) { return text, nil }

// rewritten is a canon for texts that the database rewrites.
func rewritten(change made) canon {
	return func(_ *pgtype.Map, field reflect.Value) error {
		if field.Kind() == reflect.String {
			text, err := change([]byte(field.String()))
			field.SetString(string(text))
			return err
		}
		if field.IsNil() {
			return nil
		}
		text, err := change(append([]byte(nil), field.Bytes()...))
		field.SetBytes(text)
		return err
	}
}
