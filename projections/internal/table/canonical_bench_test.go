package table //nolint:testpackage // what it measures is not for others

import (
	"encoding/json"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type line struct {
	SKU   string `json:"sku"`
	Count int    `json:"count"`
	Cents int64  `json:"cents"`
}

// What it costs to make a field what reading it back gives, for each event.
func BenchmarkCanonical(b *testing.B) {
	lines := []line{{"a-1", 1, 100}, {"b-2", 2, 200}, {"c-3", 3, 300}, {"d-4", 4, 400}}
	for _, of := range []struct {
		name, base string
		oid        uint32
		modifier   int32
		value      any
	}{
		{"time", "timestamptz", pgtype.TimestamptzOID, -1, time.Now()},
		{"Numeric", "numeric", pgtype.NumericOID, 10<<16 | 2 + 4, pgtype.Numeric{Int: big.NewInt(1234567), Exp: -3, Valid: true}},
		{"string in numeric", "numeric", pgtype.NumericOID, 10<<16 | 2 + 4, "1234.567"},
		{"struct in jsonb", "jsonb", pgtype.JSONBOID, -1, lines},
		{"map in jsonb", "jsonb", pgtype.JSONBOID, -1, map[string]any{"a": 1, "b": "two", "c": []any{1, 2}}},
		{"struct in json", "json", pgtype.JSONOID, -1, lines},
		{"RawMessage in jsonb", "jsonb", pgtype.JSONBOID, -1, json.RawMessage(`{"sku":"a-1","count":1,"cents":100,"more":[1,2,3]}`)},
	} {
		b.Run(of.name, func(b *testing.B) {
			types := inUTC(pgtype.NewMap())
			canon, err := canonOf(types, &column{Field: Field{goType: reflect.TypeOf(of.value)}, base: of.base, oid: of.oid, modifier: of.modifier})
			if err != nil {
				b.Fatal(err)
			}
			field := reflect.New(reflect.TypeOf(of.value)).Elem()
			b.ReportAllocs()
			for b.Loop() {
				field.Set(reflect.ValueOf(of.value))
				if err := canon(types, field); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
