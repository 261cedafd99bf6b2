package table

import (
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Between two batches a row is written and read back, within one it stays in memory. So
// that it is the same whatever the batches, what Apply has put into a field is made what
// reading it back gives: times lose what the column does not keep, and are in UTC; char(n)
// is padded. Columns that lose more are refused when the table is looked at.

// canon makes the value of a field what reading it back gives; nil where it is that
// already.
type canon func(field reflect.Value)

func canonOf(c *column) canon {
	if c.oid == pgtype.BPCharOID && c.goType.Kind() == reflect.String && c.length > 0 {
		return func(field reflect.Value) { pad(field, c.length) }
	}
	var keep func(time.Time) time.Time
	switch c.oid {
	case pgtype.TimestamptzOID:
		keep = func(t time.Time) time.Time { return t.Truncate(time.Microsecond).UTC() }
	case pgtype.TimestampOID:
		keep = func(t time.Time) time.Time { return wall(t).Truncate(time.Microsecond) }
	case pgtype.DateOID:
		keep = func(t time.Time) time.Time { return wall(t).Truncate(24 * time.Hour) }
	default:
		return nil
	}
	switch c.goType {
	case reflect.TypeFor[time.Time]():
		return func(field reflect.Value) {
			t := field.Addr().Interface().(*time.Time) //nolint:forcetypeassert // just looked at
			*t = keep(*t)
		}
	case reflect.TypeFor[*time.Time]():
		return func(field reflect.Value) {
			if t := field.Interface().(*time.Time); t != nil { //nolint:forcetypeassert // just looked at
				kept := keep(*t) // what it points to may be somebody else's
				field.Set(reflect.ValueOf(&kept))
			}
		}
	default:
		return nil
	}
}

// wall is what a clock on the wall shows, which a column without a time zone keeps.
func wall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

func pad(field reflect.Value, length int) {
	if missing := length - len([]rune(field.String())); missing > 0 {
		field.SetString(field.String() + strings.Repeat(" ", missing))
	}
}

// canonical makes a row what reading it back gives.
func (s *Shape) canonical(row reflect.Value) {
	for _, i := range s.canons {
		s.columns[i].canon(row.FieldByIndex(s.columns[i].index))
	}
}
