package projections_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"slices"
	"strings"
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
	reads bool // as another value, which is what is written
}

// blob is bytes by another name.
type blob []byte

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

// shown is all of a value, also what two that are equal do not share.
func shown(value any) string { return dump(reflect.ValueOf(value)) }

func dump(v reflect.Value) string {
	if !v.IsValid() {
		return "nil"
	}
	switch value := v.Interface().(type) {
	case time.Time:
		return value.String()
	case big.Int:
		return value.String()
	case netip.Addr:
		return value.String()
	}
	var parts []string
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return "&" + v.Elem().Type().String() + dump(v.Elem())
	case reflect.Slice, reflect.Map:
		if v.IsNil() {
			return "nil"
		}
		if v.Kind() == reflect.Map {
			for iter := v.MapRange(); iter.Next(); {
				parts = append(parts, dump(iter.Key())+":"+dump(iter.Value()))
			}
			slices.Sort(parts)
			break
		}
		for i := range v.Len() {
			parts = append(parts, dump(v.Index(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			parts = append(parts, v.Type().Field(i).Name+"="+dump(v.Field(i)))
		}
	default:
		return fmt.Sprintf("%#v", v)
	}
	return fmt.Sprint(parts)
}

func numeric(n int64, exp int32) pgtype.Numeric {
	return pgtype.Numeric{Int: big.NewInt(n), Exp: exp, Valid: true}
}

// coin is an amount with a form of its own in the database.
type coin struct{ Text string }

func (c *coin) ScanText(v pgtype.Text) error   { c.Text = v.String; return nil }
func (c coin) TextValue() (pgtype.Text, error) { return pgtype.Text{String: c.Text, Valid: true}, nil }

// document has of all that JSON does not keep.
type document struct {
	Any     any
	Number  json.Number
	Raw     json.RawMessage
	At      time.Time
	None    []int
	Omitted []int `json:",omitempty"`
	Lost    int   `json:"-"`
	Inner   inner
	Float   float64
	Text    string
	Bytes   []byte
	Map     map[string]any
	Pointer *any
}

// order is of what JSON keeps, mostly.
type order struct {
	Text  string
	Ratio float64
	Lines []line
	Empty []int `json:",omitempty"`
	At    time.Time
}

type line struct {
	SKU   string
	Count int
}

// shout writes itself in its own way.
type shout string

func (s shout) MarshalJSON() ([]byte, error) { return json.Marshal(strings.ToUpper(string(s))) }
func (s *shout) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, (*string)(s))
}

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
	raws := []json.RawMessage{json.RawMessage(` {"b":1e2,  "aa":[1.50,-0], "a":"\u00e9", "b":null} `), nil, json.RawMessage("null")}
	documents := []document{
		{Any: 1, Number: "1.50e1", Raw: raws[0], At: at, None: []int{}, Omitted: []int{}, Lost: 1, Inner: inner{N: 2}, Float: math.Copysign(0, -1), Text: "\xff", Map: map[string]any{"x": int64(1 << 50)}},
		{}, {Pointer: new(any(2)), Bytes: []byte{}, Map: map[string]any{}},
	}
	pairs := []pair{
		{"numeric(10,2)", seeing(amounts...), false},
		{"numeric(10,2)", seeing(new(amounts[0]), nil, new(amounts[3])), false},
		{"numeric(10,2)", seeing(words...), false},
		{"numeric(3,-2)", seeing(numeric(12345, 0), numeric(5, 1), numeric(49, 0), numeric(-150, 0)), false},
		{"numeric(3,-2)", seeing[int64](12345, 50, 49, -150), false},
		{"numeric(2,4)", seeing(numeric(12345, -7), numeric(5, -5)), false},
		{"numeric", seeing(append(amounts, pgtype.Numeric{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, numeric(100, 3))...), false},
		{"numeric", seeing(words...), false},
		{"numeric", seeing(math.Copysign(0, -1), 0.1, 1e21, 5e-324, math.NaN(), math.Inf(-1)), false},
		{"numeric", seeing[float32](0.1, 16777216), false},
		{"numeric", seeing[uint64](math.MaxUint64, 0), false},
		{"numeric(10,1)[]", seeing(amounts[:5], nil, []pgtype.Numeric{}, amounts[1:3]), false},
		{"cut", seeing(amounts[0], amounts[3]), false},
		{"real", seeing[float32](0.1, float32(math.Inf(1))), false},
		{"real", seeing(pgtype.Float4{Float32: 0.1, Valid: true}, pgtype.Float4{Float32: 3}), false},
		{"double precision", seeing(math.Copysign(0, -1), 0.1, math.MaxFloat64), false},
		{"double precision", seeing[int64](1<<53+1, 7), false},
		{"double precision", seeing[float32](0.1, 7), false},
		{"varchar(3)", seeing("abc  ", "ü  ", "a", ""), false},
		{"varchar(3)", seeing(new("abc  "), nil), false},
		{"char(3)", seeing("ab", "abc  ", "ü", ""), false},
		{"char(3)", seeing(new("ab"), nil), false},
		{"char(3)", seeing(pgtype.Text{String: "ab", Valid: true}, pgtype.Text{String: "ghost"}), false},
		{"char(3)[]", seeing([]string{"a", "abc "}, nil), false},
		{"text", seeing(coin{"a"}, coin{"b"}), false},
		{"int", seeing("007", " 7", "-0"), false},
		{"int", seeing(pgtype.Int4{Int32: 5}, i4(7)), false},
		{"int[]", seeing([]string{"007", "+7"}, nil), false},
		{"jsonb", seeing(raws...), false},
		{"jsonb", seeing(` {"b":1e2, "a":-0.0}`, `null`), false},
		{"jsonb", seeing(new(`{"b":1e2}`), nil, new(" null")), true},
		{"jsonb", seeing([]byte(`[ 1.50,"\u00e9" ]`), nil), false},
		{"json", seeing(raws...), true},
		{"json", seeing(` {"b":1e2} `), false},
		{"json", seeing(new(json.RawMessage(" null")), new(json.RawMessage(` {"b":1e2} `)), nil), true},
		{"jsonb", seeing(documents...), false},
		{"json", seeing(documents...), true},
		{"jsonb", seeing(new(documents[0]), nil), false},
		{"jsonb", seeing(map[string]any{"a": 1, "b": []int{2}, "c": at}, nil, map[string]any{}), false},
		{"jsonb", seeing[any](1, nil, []string{"\xff"}), false},
		{"jsonb", seeing([]document{documents[0]}, nil, []document{}), false},
		{"jsonb[]", seeing([]map[string]any{{"a": 1}, nil}, nil), false},
		{"jsonb", seeing([]order{{Text: "a", Lines: []line{{"x", 1}}}, {}}, nil, []order{{Text: "\xff", Lines: []line{}}}), false},
		{"json", seeing(order{Ratio: math.Copysign(0, -1), Empty: []int{}}, order{At: at, Empty: []int{1}}, order{At: at.UTC()}), true},
		{"jsonb", seeing(order{Ratio: math.Copysign(0, -1), Empty: []int{}}, order{At: at, Empty: []int{1}}), true},
		{"jsonb", seeing(shout("a"), shout("b")), false},
		{"uuid", seeing("0195C0DE-AAAA-7BBB-8CCC-DDDDEEEEFFFF", "{0195c0de-aaaa-7bbb-8ccc-ddddeeeeffff}"), false},
		{"mood", seeing(Mood("sad"), Mood("so so")), false},
		{"mood[]", seeing([]string{"sad"}, nil, []string{}), false},
		{"timestamptz", seeing(at, at.Add(501*time.Nanosecond)), false},
		{"timestamptz(3)", seeing(at, at.Add(377*time.Microsecond), at.AddDate(3, 0, 0)), false},
		{"timestamptz(0)", seeing(new(at), nil, new(at.Add(400*time.Millisecond))), false},
		{"timestamptz(2)", seeing(pgtype.Timestamptz{Time: at, Valid: true}, pgtype.Timestamptz{Time: at}, pgtype.Timestamptz{Valid: true, InfinityModifier: pgtype.Infinity}), false},
		{"timestamptz(3)[]", seeing([]time.Time{at, at.Add(400 * time.Microsecond)}, nil), false},
		{"timestamp(1)", seeing(at, at.Add(30*time.Millisecond)), false},
		{"timestamp", seeing(pgtype.Timestamp{Time: at, Valid: true}, pgtype.Timestamp{Time: at}), false},
		{"date", seeing(pgtype.Date{Time: at, Valid: true}, pgtype.Date{Time: at}), false},
		{"date[]", seeing([]time.Time{at}, nil), false},
		{"time(3)", seeing(pgtype.Time{Microseconds: 1_234_500, Valid: true}, pgtype.Time{Microseconds: 86_399_999_999, Valid: true}), false},
		{"interval", seeing(pgtype.Interval{Microseconds: 90_000_000_000, Days: 40, Months: 13, Valid: true}, pgtype.Interval{Days: 1}), false},
		{"interval", seeing(1500*time.Nanosecond, 25*time.Hour), false},
		{"bit(4)", seeing(pgtype.Bits{Bytes: []byte{0xff}, Len: 4, Valid: true}), false},
		{"varbit(9)", seeing(pgtype.Bits{Bytes: []byte{0xff, 0xff}, Len: 9, Valid: true}, pgtype.Bits{Bytes: []byte{0xff}, Len: 8, Valid: true}, pgtype.Bits{Len: 2}), false},
		{"inet", seeing(netip.MustParseAddr("fe80::1"), netip.MustParseAddr("::ffff:10.0.0.1")), false},
		{"int4range", seeing(span(i4(1), i4(3), "[]"), span(i4(1), i4(2), "()"), span(i4(5), i4(5), "[)"), span(i4(9), i4(9), "(-"), span(i4(9), i4(9), "--"), pgtype.Range[pgtype.Int4]{LowerType: pgtype.Empty, UpperType: pgtype.Empty, Valid: true}), false},
		{"daterange", seeing(span(day(1), day(3), "(]"), span(day(2), day(2), "[]")), false},
		{"tstzrange", seeing(span(pgtype.Timestamptz{Time: at, Valid: true}, pgtype.Timestamptz{Time: at.Add(time.Hour), Valid: true}, "[]"), span(pgtype.Timestamptz{Time: at, Valid: true}, pgtype.Timestamptz{Time: at, Valid: true}, "()")), false},
	}
	w := newWorld(t)
	for n := range 9 {
		w.append("a-1", Deposited{Cents: int64(n)})
	}
	for i, p := range pairs {
		t.Run(fmt.Sprintf("%d %s", i, p.column), func(t *testing.T) {
			t.Parallel()
			projectiontest.Replay(t, w.store, p.def(p.column))
			if p.reads {
				return
			}
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
		{"interval", seeing("24 hours"), false}, {"inet", seeing("10.1"), false}, {"timetz", seeing("1:00+0"), false}, {"bit(3)", seeing("101"), false}, {"xml", seeing("<a/>"), false},
		{"tsvector", seeing("b a"), false}, {"money", seeing("$1"), false}, {"int4range", seeing("[1,2]"), false}, {"interval(3)", seeing(pgtype.Interval{}), false},
		{"interval day", seeing(pgtype.Interval{}), false}, {"box", seeing(pgtype.Box{}), false}, {"settling", seeing("(1,2)"), false}, {"numrange", seeing(pgtype.Range[pgtype.Numeric]{}), false},
		{"jsonb", seeing(Mood("sad")), false}, {"json", seeing(blob("{}")), false},
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

// A value that cannot be what its column holds is parked with its event, also where a later
// event of the batch would have mended it.
func TestValue_that_its_column_cannot_hold_is_parked_with_its_event_whatever_the_batches(t *testing.T) {
	t.Parallel()
	for column, bad := range map[string]string{"numeric": "12a", "jsonb": "{", "int": "seven", "uuid": "7"} {
		for _, batch := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s in batches of %d", column, batch), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				good := map[string]string{"numeric": "12", "jsonb": "{}", "int": "7", "uuid": "0195c0de-aaaa-7bbb-8ccc-ddddeeeeffff"}[column]
				def := seeing(good, bad, good).fold(column)
				p := projections.New(w.store, def, projections.WithBatch(batch))
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				last := w.append("a-1", Deposited{Cents: 0}, Deposited{Cents: 1}, Deposited{Cents: 2})
				start(t, p)
				reach(t, p, last)
				list := wantParked(t, p, w.store, 2)
				if list[0].Event.Version != 2 || !strings.Contains(list[0].Error, "column v of settled") || list[1].Error != "" {
					t.Errorf("%+v", list)
				}
				if n := w.number(`select count(*) from settled.settled where v::text = $1`, good); n != 1 {
					t.Errorf("%d rows are as before", n)
				}
			})
		}
	}
}

// Of a domain over a domain nobody here looks for what the type below keeps.
func TestColumn_of_a_domain_over_a_domain_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := seeing(numeric(15, -1)).fold("narrow")
	def.Table = strings.Replace(def.Table, "create type", "create domain narrow as cut; create type", 1)
	if err := projections.New(w.store, def).Rebuild(t.Context()); !errors.Is(err, projections.ErrInvalid) || !contains(err, "make it one over the type itself") {
		t.Errorf("%v", err)
	}
}

// loud writes more than it reads; so does hasty, but only once.
type loud struct{ Text string }

func (l loud) MarshalJSON() ([]byte, error) { return json.Marshal(l.Text + "!") }

func (l *loud) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &l.Text) }

type hasty struct{ Text string }

func (h hasty) MarshalJSON() ([]byte, error) {
	return json.Marshal(strings.TrimSuffix(h.Text, "!") + "!")
}

func (h *hasty) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &h.Text) }

// A value that is read as another each time that it goes through its column is parked; one
// that is read as another once is that one from then on.
func TestValue_that_is_never_read_as_it_was_written_is_parked(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"json", "jsonb"} {
		for _, batch := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s in batches of %d", column, batch), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				never := projections.New(w.store, seeing(loud{"a"}, loud{"b"}).fold(column), projections.WithBatch(batch))
				def := seeing(hasty{"a"}, hasty{"b"}).fold(column)
				def.Name, def.Table = "once", strings.Replace(def.Table, "settled", "once", 1)
				once := projections.New(w.store, def, projections.WithBatch(batch))
				last := w.append("a-1", Deposited{Cents: 0}, Deposited{Cents: 1})
				for _, p := range []*projections.Projector{never, once} {
					start(t, p)
					reach(t, p, last)
				}
				list := wantParked(t, never, w.store, 2)
				if list[0].Event.Version != 1 || !strings.Contains(list[0].Error, "must be the reverse of each other") {
					t.Errorf("%+v", list)
				}
				if n := w.number(`select count(*) from once.once where v::text = '"b!"' and seen like '%a!%'`); n != 1 {
					t.Error("the value that is read as another once is not that one")
				}
			})
		}
	}
}

// A string in an interface would be read as another value than it was written as.
func TestString_in_an_interface_of_a_document_is_parked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, seeing[any](map[string]any{"a": 1}, `"a"`).fold("jsonb"))
	last := w.append("a-1", Deposited{Cents: 0}, Deposited{Cents: 1})
	start(t, p)
	reach(t, p, last)
	if list := wantParked(t, p, w.store, 1); list[0].Event.Version != 2 || !strings.Contains(list[0].Error, "a string in an interface is taken for JSON") {
		t.Errorf("%+v", list)
	}
}
