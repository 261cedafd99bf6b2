package projections_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Mood is a type that the DDL makes.
type Mood string

type tags struct {
	Names []string       `json:"names"`
	Count map[string]int `json:"count"`
}

// Everything has a column of each kind.
type Everything struct {
	ID        uuid.UUID       `db:"id"`
	Doc       tags            `db:"doc"`     // jsonb
	Raw       json.RawMessage `db:"raw"`     // json
	Words     []string        `db:"words"`   // text[]
	Numbers   []int64         `db:"numbers"` // bigint[]
	Amount    pgtype.Numeric  `db:"amount"`  // numeric
	At        time.Time       `db:"at"`      // timestamptz
	Maybe     *time.Time      `db:"maybe"`   // nullable timestamptz
	MaybeText *string         `db:"maybe_text"`
	MaybeInt  pgtype.Int8     `db:"maybe_int"`
	Ref       *uuid.UUID      `db:"ref"` // nullable uuid
	Bytes     []byte          `db:"bytes"`
	Flag      bool            `db:"flag"`
	Ratio     float64         `db:"ratio"`
	Small     int16           `db:"small"`
	Day       pgtype.Date     `db:"day"`
	Addr      netip.Addr      `db:"addr"`
	Hidden    int             `db:"-"` // does not survive
}

const everythingTable = `
create table everything (
    id uuid primary key, doc jsonb not null, raw json, words text[] not null, numbers bigint[], amount numeric not null, at timestamptz not null,
    maybe timestamptz, maybe_text text, maybe_int bigint, ref uuid, bytes bytea, flag boolean not null, ratio double precision not null,
    small smallint not null, day date, addr inet, ignored text default 'x', twice int generated always as (small * 2) stored)`

func everything() projections.Fold[Everything, Event] {
	return projections.Fold[Everything, Event]{
		Name: "everything", Version: 1, Table: everythingTable, Codec: codec(),
		Key:   func(_ Event, r es.Recorded) string { return idOf(r.Stream.ID).String() },
		Apply: func(row *Everything, e Event, r es.Recorded) { row.apply(cents(e), r) },
	}
}

func idOf(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

// apply builds on what was stored, so each value must come back as it was.
func (row *Everything) apply(n int64, r es.Recorded) {
	row.ID = idOf(r.Stream.ID)
	row.Doc.Names = append(row.Doc.Names, fmt.Sprintf("n%d \"ü\"", n))
	if row.Doc.Count == nil {
		row.Doc.Count = map[string]int{}
	}
	row.Doc.Count[fmt.Sprint(n%3)]++
	row.Raw = json.RawMessage(fmt.Sprintf(`{"b": %d,  "a":[1e3, null]}`, n)) // to the letter
	row.Words = append(row.Words, fmt.Sprintf(`w,{%d}"\`, n), "")
	if n%2 == 0 {
		row.Numbers = append(row.Numbers, n, -n)
	}
	if !row.Amount.Valid {
		row.Amount = pgtype.Numeric{Int: big.NewInt(0), Valid: true}
	}
	row.Amount = add(row.Amount, n)
	row.At = r.RecordedAt
	row.Maybe, row.MaybeText, row.MaybeInt, row.Ref, row.Bytes, row.Day = nil, nil, pgtype.Int8{}, nil, nil, pgtype.Date{}
	if n%2 == 1 {
		text, ref := fmt.Sprint("t", n), idOf(fmt.Sprint(n))
		row.Maybe, row.MaybeText, row.Ref = &r.RecordedAt, &text, &ref
		row.MaybeInt = pgtype.Int8{Int64: n, Valid: true}
		row.Bytes = []byte{0, byte(n), '\\', '\''}
		row.Day = pgtype.Date{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(n)), Valid: true}
	}
	row.Flag = !row.Flag
	row.Ratio += 0.1
	row.Small++
	row.Addr = netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
}

// add counts in hundredths.
func add(a pgtype.Numeric, n int64) pgtype.Numeric {
	have := new(big.Int).Set(a.Int)
	for e := a.Exp; e > -2; e-- {
		have.Mul(have, big.NewInt(10))
	}
	return pgtype.Numeric{Int: have.Add(have, big.NewInt(n)), Exp: -2, Valid: true}
}

// text is a row as text, in which equal values look the same.
func (row Everything) text() string {
	amount, _ := row.Amount.Float64Value()
	at := func(t *time.Time) string {
		if t == nil {
			return "null"
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	text, ref := "null", "null"
	if row.MaybeText != nil {
		text = *row.MaybeText
	}
	if row.Ref != nil {
		ref = row.Ref.String()
	}
	return fmt.Sprintf("%s %v %s %q %v %v %s %s %s %v %s %v %v %v %d %v %s", row.ID, row.Doc, row.Raw, row.Words, row.Numbers, amount.Float64,
		at(&row.At), at(row.Maybe), text, row.MaybeInt, ref, row.Bytes, row.Flag, row.Ratio, row.Small, row.Day.Time.Format(time.DateOnly), row.Addr)
}

func (w *world) foldEverything(history []es.RecordedEvent) map[string]string {
	w.Helper()
	rows := map[string]Everything{}
	for _, recorded := range history {
		event, err := es.One(w.codec.Decode(w.Context(), nil, recorded))
		if err != nil {
			w.Fatal(err)
		}
		row := rows[recorded.Stream.ID]
		row.apply(cents(event), recorded.Recorded)
		rows[recorded.Stream.ID] = row
	}
	texts := map[string]string{}
	for _, row := range rows {
		texts[row.ID.String()] = row.text()
	}
	return texts
}

func (w *world) everything(t testing.TB) map[string]string {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), `select id, doc, raw, words, numbers, amount, at, maybe, maybe_text, maybe_int, ref, bytes, flag, ratio, small, day, addr from everything.everything`)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for rows.Next() {
		var r Everything
		if err := rows.Scan(&r.ID, &r.Doc, &r.Raw, &r.Words, &r.Numbers, &r.Amount, &r.At, &r.Maybe, &r.MaybeText, &r.MaybeInt, &r.Ref, &r.Bytes, &r.Flag, &r.Ratio, &r.Small, &r.Day, &r.Addr); err != nil {
			t.Fatal(err)
		}
		texts[r.ID.String()] = r.text()
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return texts
}

// Each way that rows are written: one by one, many by upsert, many by COPY.
func TestColumns_of_every_type_keep_their_values(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 1000} {
		t.Run(fmt.Sprintf("batches of %d", batch), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := projections.New(w.store, everything(), projections.WithBatch(batch))
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				for n := range 15 {
					w.append(name(n), Deposited{Cents: int64(n*i + 1)}, Deposited{Cents: int64(n)}, Withdrawn{Cents: int64(i)})
				}
			}
			start(t, p)
			w.wait(p, w.append("last", Deposited{Cents: 1}))
			sameTexts(t, w.foldEverything(w.history()), w.everything(t))
			w.rebuildEqual(p)
		})
	}
	t.Run("rebuilt by COPY", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for n := range 700 {
			w.append(name(n), Deposited{Cents: int64(n)}, Deposited{Cents: int64(n)})
		}
		p := projections.New(w.store, everything())
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		sameTexts(t, w.foldEverything(w.history()), w.everything(t))
		w.rebuildEqual(p)
	})
}

func sameTexts(t testing.TB, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("rows differ (-want +got):\n%s", diff)
	}
}

// rebuildEqual rebuilds and wants no difference to the live tables.
func (w *world) rebuildEqual(p *projections.Projector) {
	w.Helper()
	var last projections.Progress
	err := p.Rebuild(w.Context(), projections.WithProgress(func(p projections.Progress) { last = p }))
	if err != nil || !last.Compared || last.Differing != 0 {
		w.Fatalf("%v, %+v", err, last)
	}
}

// Feeling is a row whose key and columns are of types that the DDL makes.
type Feeling struct {
	Mood   Mood     `db:"mood"`
	Before *Mood    `db:"before"`
	Moods  []string `db:"moods"`
	Score  int32    `db:"score"`
	Code   string   `db:"code"`
}

func TestColumns_of_types_that_the_DDL_makes(t *testing.T) {
	t.Parallel()
	all := []Mood{"sad", "so so", "very happy"}
	def := projections.Fold[Feeling, Event]{
		Name: "feelings", Version: 1,
		Table: `create type mood as enum ('sad', 'so so', 'very happy');
			create domain score as int check (value >= 0);
			create table feelings (mood mood primary key, before mood, moods mood[] not null, score score not null, code char(3) not null)`,
		Codec: codec(),
		Key:   func(e Event, _ es.Recorded) string { return string(all[cents(e)%3]) },
		Apply: func(f *Feeling, e Event, _ es.Recorded) {
			if n := cents(e); n > 3 {
				before := all[n%2]
				f.Before = &before
			}
			f.Score++
			f.Moods, f.Code = append(f.Moods, string(all[cents(e)%3])), "abc"
		},
	}
	w := newWorld(t)
	p := projections.New(w.store, def, projections.WithBatch(2))
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 1})) // built and live
	for n := range 20 {
		w.append(name(n), Deposited{Cents: int64(n)})
	}
	w.wait(p, w.append("a-1", Deposited{Cents: 1}))
	want := map[string]Feeling{}
	for _, recorded := range w.history() {
		event, err := es.One(w.codec.Decode(t.Context(), nil, recorded))
		if err != nil {
			t.Fatal(err)
		}
		key := def.Key(event, recorded.Recorded)
		f := want[key]
		f.Mood = Mood(key)
		def.Apply(&f, event, recorded.Recorded)
		want[key] = f
	}
	same(t, want, tableOf(w, `(select mood::text, before::text, moods::text[], score, code from feelings.feelings) f`, func(f Feeling) string { return string(f.Mood) }))
	w.rebuildEqual(p)
	w.exec(`update feelings.feelings set before = 'very happy' where mood = 'sad'`)
	var last projections.Progress
	if err := p.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) { last = p })); err != nil || last.Differing != 1 {
		t.Fatalf("%v, %+v", err, last)
	}
	if moods := slices.Sorted(maps.Keys(want)); len(moods) != 3 {
		t.Fatal(moods)
	}
}
