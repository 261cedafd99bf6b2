package projections_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/projectiontest"
)

// settled is a row that remembers what its value was before each event.
type settled[T any] struct {
	Key   string `db:"k"`
	Value T      `db:"v"`
	Seen  string `db:"seen"`
}

// values are for a field of a type.
type values interface {
	// def is a read model whose column gets one value after the other.
	def(column string) projections.Definition
	// compare holds what stands in the column then against what a plain program writes.
	compare(w *world, name, column string)
}

// pair is a column and values for the field that holds it.
type pair struct {
	column string
	values
}

type list[T any] []T

func seeing[T any](values ...T) list[T] { return values }

// ownTypes are those of some columns.
const ownTypes = `create domain cut as numeric(4,1); create type mood as enum ('sad', 'so so');`

// def remembers in another column what each value was before.
func (values list[T]) def(column string) projections.Definition { return values.fold(column) }

func (values list[T]) fold(column string) projections.Fold[settled[T], Event] {
	return projections.Fold[settled[T], Event]{
		Name: "settled", Version: 1, Codec: codec(), Order: projections.OneStream,
		Table: ownTypes + `create table settled (k text primary key, v ` + column + `, seen text not null)`,
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(row *settled[T], e Event, _ es.Recorded) {
			row.Seen += fmt.Sprintf("%s;", shown(row.Value))
			row.Value = values[int(cents(e))%len(values)]
		},
	}
}

func (values list[T]) compare(w *world, name, column string) {
	w.Helper()
	def := values.fold(column)
	def.Name = name
	def.Key = func(e Event, r es.Recorded) string { return fmt.Sprint(cents(e)) }
	if err := projections.New(w.store, def).Rebuild(w.Context()); err != nil {
		w.Fatal(err)
	}
	err := pgx.BeginFunc(w.Context(), w.pool, func(tx pgx.Tx) error {
		plain := pgx.Identifier{name + "_plain"}.Sanitize()
		if _, err := tx.Exec(w.Context(), `create schema `+plain+`; set local search_path to `+plain+`;`+ownTypes+`create table plain (k text, v `+column+`)`); err != nil {
			return err
		}
		for n := range 9 {
			if _, err := tx.Exec(w.Context(), `/* `+name+` */ insert into plain values ($1, $2)`, fmt.Sprint(n), values[n%len(values)]); err != nil {
				return err
			}
		}
		form := "::text"
		if column == "numeric" { // of zero the driver reads no digits behind the point
			form = ""
		}
		rows, err := tx.Query(w.Context(), `select k, p.v::text, s.v::text from plain p join `+name+`.settled s using (k) where p.v`+form+` is distinct from s.v`+form)
		if err != nil {
			return err
		}
		var key string
		var want, got *string
		_, err = pgx.ForEachRow(rows, []any{&key, &want, &got}, func() error {
			w.Errorf("value %s is %s, want %s", key, shown(got), shown(want))
			return nil
		})
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

// shown is all of a value: also what two that are equal do not share.
func shown(value any) string {
	switch v := value.(type) {
	case pgtype.Numeric:
		return fmt.Sprintf("%v e%d %v %v %v", v.Int, v.Exp, v.NaN, v.InfinityModifier, v.Valid)
	case *string:
		if v == nil {
			return "nil"
		}
		return fmt.Sprintf("%q", *v)
	default:
		return fmt.Sprintf("%#v", value)
	}
}

func ptr[T any](value T) *T { return &value }

func numeric(n int64, exp int32) pgtype.Numeric {
	return pgtype.Numeric{Int: big.NewInt(n), Exp: exp, Valid: true}
}

// coin is an amount with a form of its own in the database.
type coin struct{ text string }

func (c *coin) ScanText(v pgtype.Text) error   { c.text = v.String; return nil }
func (c coin) TextValue() (pgtype.Text, error) { return pgtype.Text{String: c.text, Valid: true}, nil }
func span[T any](lower, upper T, ends string) pgtype.Range[T] {
	kind := map[byte]pgtype.BoundType{'[': pgtype.Inclusive, ']': pgtype.Inclusive, '(': pgtype.Exclusive, ')': pgtype.Exclusive, '-': pgtype.Unbounded}
	return pgtype.Range[T]{Lower: lower, Upper: upper, LowerType: kind[ends[0]], UpperType: kind[ends[1]], Valid: true}
}

// What Apply sees in a row does not depend on where batches end, whatever column and field
// are paired.
func TestRow_is_what_reading_it_back_gives_for_every_pair_of_column_and_field(t *testing.T) {
	t.Parallel()
	at := time.Date(1999, 12, 31, 23, 59, 59, 123456789, time.FixedZone("east", 3*3600))
	day := func(n int) pgtype.Date {
		return pgtype.Date{Time: time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC), Valid: true}
	}
	i4 := func(n int32) pgtype.Int4 { return pgtype.Int4{Int32: n, Valid: true} }
	amounts := []pgtype.Numeric{numeric(12345, -4), numeric(-5, -3), numeric(9995, -3), numeric(0, -5), numeric(15, 1), {NaN: true, Valid: true}, {}, numeric(1, -9)}
	words := []string{" 1.005 ", "1e1", "0.00", "-0", "+7", "NaN", "00012.3450"}
	pairs := []pair{
		{"numeric(10,2)", seeing(amounts...)},
		{"numeric(10,2)", seeing(ptr(amounts[0]), nil, ptr(amounts[3]))},
		{"numeric(10,2)", seeing(words...)},
		{"numeric(3,-2)", seeing(numeric(12345, 0), numeric(5, 1), numeric(49, 0), numeric(-150, 0))},
		{"numeric(3,-2)", seeing[int64](12345, 50, 49, -150)},
		{"numeric(2,4)", seeing(numeric(12345, -7), numeric(5, -5))},
		{"numeric", seeing(append(amounts, pgtype.Numeric{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, numeric(100, 3))...)},
		{"numeric", seeing(words...)},
		{"numeric", seeing(math.Copysign(0, -1), 0.1, 1e21, 5e-324, math.NaN(), math.Inf(-1))},
		{"numeric", seeing[float32](0.1, 16777216)},
		{"numeric", seeing[uint64](math.MaxUint64, 0)},
		{"numeric(10,1)[]", seeing(amounts[:5], nil, []pgtype.Numeric{}, amounts[1:3])},
		{"cut", seeing(amounts[0], amounts[3])},
		{"real", seeing[float32](0.1, float32(math.Inf(1)))},
		{"real", seeing(pgtype.Float4{Float32: 0.1, Valid: true}, pgtype.Float4{Float32: 3})},
		{"double precision", seeing(math.Copysign(0, -1), 0.1, math.MaxFloat64)},
		{"double precision", seeing[int64](1<<53+1, 7)},
		{"double precision", seeing[float32](0.1, 7)},
		{"varchar(3)", seeing("abc  ", "ü  ", "a", "")},
		{"varchar(3)", seeing(ptr("abc  "), nil)},
		{"char(3)", seeing("ab", "abc  ", "ü", "")},
		{"char(3)", seeing(ptr("ab"), nil)},
		{"char(3)", seeing(pgtype.Text{String: "ab", Valid: true}, pgtype.Text{String: "ghost"})},
		{"char(3)[]", seeing([]string{"a", "abc "}, nil)},
		{"text", seeing(coin{"a"}, coin{"b"})},
		{"int", seeing("007", " 7", "-0")},
		{"int", seeing(pgtype.Int4{Int32: 5}, i4(7))},
		{"int[]", seeing([]string{"007", "+7"}, nil)},
		{"uuid", seeing("0195C0DE-AAAA-7BBB-8CCC-DDDDEEEEFFFF", "{0195c0de-aaaa-7bbb-8ccc-ddddeeeeffff}")},
		{"mood", seeing(Mood("sad"), Mood("so so"))},
		{"mood[]", seeing([]string{"sad"}, nil, []string{})},
		{"timestamptz", seeing(at, at.Add(501*time.Nanosecond))},
		{"timestamptz(3)", seeing(at, at.Add(377*time.Microsecond), at.AddDate(3, 0, 0))},
		{"timestamptz(0)", seeing(ptr(at), nil, ptr(at.Add(400*time.Millisecond)))},
		{"timestamptz(2)", seeing(pgtype.Timestamptz{Time: at, Valid: true}, pgtype.Timestamptz{Time: at}, pgtype.Timestamptz{Valid: true, InfinityModifier: pgtype.Infinity})},
		{"timestamptz(3)[]", seeing([]time.Time{at, at.Add(400 * time.Microsecond)}, nil)},
		{"timestamp(1)", seeing(at, at.Add(30*time.Millisecond))},
		{"timestamp", seeing(pgtype.Timestamp{Time: at, Valid: true}, pgtype.Timestamp{Time: at})},
		{"date", seeing(pgtype.Date{Time: at, Valid: true}, pgtype.Date{Time: at})},
		{"date[]", seeing([]time.Time{at}, nil)},
		{"time(3)", seeing(pgtype.Time{Microseconds: 1_234_500, Valid: true}, pgtype.Time{Microseconds: 86_399_999_999, Valid: true})},
		{"interval", seeing(pgtype.Interval{Microseconds: 90_000_000_000, Days: 40, Months: 13, Valid: true}, pgtype.Interval{Days: 1})},
		{"interval", seeing(1500*time.Nanosecond, 25*time.Hour)},
		{"bit(4)", seeing(pgtype.Bits{Bytes: []byte{0xff}, Len: 4, Valid: true})},
		{"varbit(9)", seeing(pgtype.Bits{Bytes: []byte{0xff, 0xff}, Len: 9, Valid: true}, pgtype.Bits{Bytes: []byte{0xff}, Len: 8, Valid: true}, pgtype.Bits{Len: 2})},
		{"inet", seeing(netip.MustParseAddr("fe80::1"), netip.MustParseAddr("::ffff:10.0.0.1"))},
		{"int4range", seeing(span(i4(1), i4(3), "[]"), span(i4(1), i4(2), "()"), span(i4(5), i4(5), "[)"), span(i4(9), i4(9), "(-"), span(i4(9), i4(9), "--"), pgtype.Range[pgtype.Int4]{LowerType: pgtype.Empty, UpperType: pgtype.Empty, Valid: true})},
		{"daterange", seeing(span(day(1), day(3), "(]"), span(day(2), day(2), "[]"))},
		{"tstzrange", seeing(span(pgtype.Timestamptz{Time: at, Valid: true}, pgtype.Timestamptz{Time: at.Add(time.Hour), Valid: true}, "[]"), span(pgtype.Timestamptz{Time: at, Valid: true}, pgtype.Timestamptz{Time: at, Valid: true}, "()"))},
	}
	w := newWorld(t)
	for n := range 9 {
		w.append("a-1", Deposited{Cents: int64(n)})
	}
	for i, p := range pairs {
		t.Run(fmt.Sprintf("%d %s", i, p.column), func(t *testing.T) {
			t.Parallel()
			projectiontest.Replay(t, w.store, p.def(p.column))
			own := *w
			own.TB = t
			p.compare(&own, fmt.Sprintf("settled%d", i), p.column)
		})
	}
}

// Pairs of which only the database knows what it makes are refused, with what to do.
func TestColumns_of_which_only_the_database_knows_the_values_are_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	for _, p := range []pair{
		{"interval", seeing("24 hours")}, {"inet", seeing("10.1")}, {"timetz", seeing("1:00+0")}, {"bit(3)", seeing("101")}, {"xml", seeing("<a/>")},
		{"tsvector", seeing("b a")}, {"money", seeing("$1")}, {"int4range", seeing("[1,2]")}, {"interval(3)", seeing(pgtype.Interval{})},
		{"interval day", seeing(pgtype.Interval{})}, {"box", seeing(pgtype.Box{})}, {"settling", seeing("(1,2)")}, {"numrange", seeing(pgtype.Range[pgtype.Numeric]{})},
	} {
		def := p.def(p.column)
		if p.column == "settling" {
			f := def.(projections.Fold[settled[string], Event])
			f.Table = "create type settling as (a int, b int);" + f.Table
			def = f
		}
		if err := projections.New(w.store, def).Rebuild(t.Context()); !errors.Is(err, projections.ErrInvalid) || !contains(err, "column v of table settled") || !contains(err, "use another type for field Value") && !contains(err, "change one of them") {
			t.Errorf("%s: %v", p.column, err)
		}
	}
}
