package table

import (
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// What the database makes of the values that it is given, by their type.

// made is what the database makes of a value on the wire; nil: the same.
type made func(wire []byte) ([]byte, error)

func (k kind) json() bool { return k.base == "json" || k.base == "jsonb" }

// words reports a type whose values are texts.
func (k kind) words() bool {
	switch k.base {
	case "text", "varchar", "bpchar":
		return true
	default:
		return k.category == "E" || k.own && k.category == "S" // enums, citext
	}
}

// asText reports a type whose values go over the wire as text.
func (k kind) asText() bool { return k.words() || k.base == "numeric" }

// exact reports pairs that keep every value as it is.
func (k kind) exact(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		return k.exact(t.Elem())
	}
	if t != reflect.TypeFor[uuid.UUID]() && converts(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Bool:
		return k.base == "bool"
	case reflect.Float32:
		return k.base == "float4" || k.base == "float8"
	case reflect.Float64:
		return k.base == "float8"
	case reflect.Array:
		return k.base == "uuid" && t.Len() == 16 && t.Elem().Kind() == reflect.Uint8
	case reflect.Slice:
		return k.base == "bytea" && t.Elem().Kind() == reflect.Uint8
	case reflect.String:
		return k.words() && k.modifier < 0
	default:
		return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && k.whole()
	}
}

// whole reports a type that keeps whole numbers.
func (k kind) whole() bool {
	switch k.base {
	case "int2", "int4", "int8":
		return true
	case "numeric":
		return k.modifier < 0 || k.scale() >= 0
	default:
		return false
	}
}

// converts reports a type with methods of its own for being written or read.
func converts(t reflect.Type) bool {
	for method := range reflect.PointerTo(t).Methods() {
		if strings.HasPrefix(method.Name, "Scan") || strings.HasSuffix(method.Name, "Value") {
			return true
		}
	}
	return false
}

// made returns what the database makes of values that come as text, or as they come; false
// where that is not known here.
func (k kind) made(text bool) (made, bool) {
	if k.words() {
		return k.sized(), true
	}
	switch k.base {
	case "numeric":
		return k.number(), true
	case "int2", "int4", "int8":
		if text {
			return integerText, true
		}
		return nil, true
	case "uuid":
		if text {
			return uuidText, true
		}
		return nil, true
	}
	if text {
		return nil, false
	}
	switch k.base {
	case "bool", "float4", "float8", "bytea", "date", "inet", "cidr", "macaddr", "macaddr8", "oid", "xid8", "point", "lseg", "path", "polygon", "circle":
		return nil, true
	case "timestamp", "timestamptz", "time":
		return k.rounded(), true
	case "interval":
		return nil, k.modifier < 0
	case "bit", "varbit":
		return bits, true
	case "int4range", "int8range", "daterange", "tsrange", "tstzrange":
		return k.span, true
	default:
		return nil, false
	}
}

// moment returns what a column of moments keeps of one; nil for other columns.
func (k kind) moment() func(time.Time) time.Time {
	switch k.base {
	case "timestamptz":
		return func(t time.Time) time.Time { return k.roundTime(t.Truncate(time.Microsecond).UTC()) }
	case "timestamp":
		return func(t time.Time) time.Time { return k.roundTime(wall(t).Truncate(time.Microsecond)) }
	case "date":
		return func(t time.Time) time.Time { return wall(t).Truncate(24 * time.Hour) }
	default:
		return nil
	}
}

// wall is what a clock on the wall shows, which a column without a time zone keeps.
func wall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// inUTC makes moments that are read say the time in UTC, whatever the process's zone.
func inUTC(types *pgtype.Map) *pgtype.Map {
	own := types.Copy()
	at := &pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}}
	own.RegisterType(at)
	own.RegisterType(&pgtype.Type{Name: "tstzrange", OID: pgtype.TstzrangeOID, Codec: &pgtype.RangeCodec{ElementType: at}})
	return own
}
