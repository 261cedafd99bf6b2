package projections_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// Texts of one key are one row, whatever the batches.
func TestKeys_are_one_where_their_column_says_so(t *testing.T) {
	t.Parallel()
	type row struct {
		Key    string `db:"k"`
		Seen   string `db:"seen"`
		Events int64  `db:"events"`
	}
	id := "0195c0de-aaaa-7bbb-8ccc-ddddeeeeffff"
	for keyType, keys := range map[string][]string{
		"uuid":                      {id, strings.ToUpper(id), "{" + id + "}"},
		"bigint":                    {"7", "007", "+7"},
		"smallint":                  {"7", "007", "+7"},
		"numeric":                   {"1", "1.0", "01"},
		"numeric(10,1)":             {"1.25", "1.3", "0001.30"},
		"numeric(10,-1)":            {"14", "10", "1.0e1"},
		"boolean":                   {"t", "true", "yes"},
		"timestamptz":               {"2026-01-01 12:00:00+00", "2026-01-01T13:00:00+01", "2026-01-01 12:00+00"},
		"timestamptz ":              {"infinity", " Infinity", "infinity "},
		"timestamptz  ":             {"0044-03-15 12:00:00+00 BC", "0044-03-15 13:00:00+01 BC", "0044-03-15 11:00:00-01 BC"},
		"timestamptz(0)":            {"2026-01-01 12:00:00.6+00", "2026-01-01T13:00:01+01", "2026-01-01 12:00:00.9+00"},
		"timestamp(3)":              {"2026-01-01 12:00:00.0006", "2026-01-01T12:00:00.001", "2026-01-01 12:00:00.0014"},
		"time(0)":                   {"12:00:00.6", "12:00:01", "12:00:01.2"},
		"date":                      {"2026-01-02", "January 2, 2026", "20260102"},
		"char(5)":                   {"a", "a  ", "a "},
		"varchar(5)":                {"abcdé", "abcdé  ", "abcdé "},
		"short":                     {"abc", "abc  ", "abc "},
		"rough":                     {"1.25", "1.3", "1.30"},
		"interval":                  {"1 day", "24 hours", "1440 min"},
		"interval second(0)":        {"00:00:01.4", "1 second", "0.9 seconds"},
		"double precision":          {"0", "-0", "0.0"},
		"real":                      {"0.1", "1e-1", "0.10000000149"},
		"text":                      {"same", "same", "same"},
		"text collate folded":       {"Ann", "ANN", "ann"},
		"varchar(3) collate folded": {"Ann", "ANN ", "ann"},
	} {
		t.Run(keyType, func(t *testing.T) {
			t.Parallel()
			want := ""
			for _, batch := range []int{1, 2, 3, 1000} {
				w := newWorld(t)
				def := projections.Fold[row, Event]{
					Name: "keyed", Version: 1, Codec: codec(),
					Table: foldedCollation + `create domain short as varchar(3); create domain rough as numeric(10,1);
						create table keyed (k ` + keyType + ` primary key, seen text not null, events bigint not null)`,
					Key: func(e Event, _ es.Recorded) string { return keys[cents(e)%3] },
					Apply: func(r *row, e Event, _ es.Recorded) {
						r.Seen += "[" + r.Key + "]"
						r.Events++
						r.Key = keys[cents(e)%3] // the same in other words
					},
					Delete: func(r *row) bool { return r.Events == 5 },
				}
				p := projections.New(w.store, def, projections.WithBatch(batch))
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				for n := range 8 { // the row goes with the fifth
					w.append("a-1", Deposited{Cents: int64(n)})
				}
				start(t, p)
				w.wait(p, w.append("a-1", Deposited{Cents: 0}))
				check := func(what string) {
					t.Helper()
					var got string
					err := w.pool.QueryRow(t.Context(), `select coalesce(string_agg(concat_ws(' ', k::text, seen, events), '; '), '') from keyed.keyed`, pgx.QueryExecModeExec).Scan(&got)
					if want == "" {
						want = got
					}
					if err != nil || got != want || !strings.HasSuffix(got, " 4") || strings.Contains(got, ";") {
						t.Errorf("%s, batches of %d: rows are %q (%v), want one of 4 events: %q", what, batch, got, err, want)
					}
				}
				check("live")
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				check("rebuilt")
			}
		})
	}
}

// A key that is in memory by one text is found by any other, page after page.
func TestKeys_of_many_texts_are_one_row(t *testing.T) {
	t.Parallel()
	type row struct {
		Key    string `db:"k"`
		Events int64  `db:"events"`
	}
	w := newWorld(t)
	texts := func(name string, n int) string {
		text := []byte(name)
		for i := range text {
			if n>>i&1 == 1 {
				text[i] -= 'a' - 'A'
			}
		}
		return string(text)
	}
	key := func(n int64) string {
		return texts([]string{"annabelle", "bernadine", "christoph"}[n%3], int(n*37%512))
	}
	want := map[string]int64{}
	events := make([]Event, 6_000) // of two pages, before anything is written
	for n := range events {
		events[n] = Deposited{Cents: int64(n)}
		want[key(int64(n)%3)]++
	}
	for part := range slices.Chunk(events, 1_000) {
		w.append("a-1", part...)
	}
	p := projections.New(w.store, projections.Fold[row, Event]{
		Name: "keyed", Version: 1, Codec: codec(),
		Table: foldedCollation + `create table keyed (k text collate folded primary key, events bigint not null)`,
		Key:   func(e Event, _ es.Recorded) string { return key(cents(e)) },
		Apply: func(r *row, _ Event, _ es.Recorded) { r.Events++ },
	})
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for key, row := range tableOf(w, "keyed.keyed", func(r row) string { return r.Key }) {
		got[key] = row.Events
	}
	same(t, want, got)
}

// Member is a row with a value that no other has.
type Member struct {
	Name string  `db:"name"`
	Nick *string `db:"nick"`
}

// members gives nicknames: an Opened names who gets the nickname of its owner.
func members() projections.Fold[Member, Event] {
	return projections.Fold[Member, Event]{
		Name: "members", Version: 1, Codec: codec(),
		Table: `create table members (name text primary key, nick text unique)`,
		Key: func(e Event, _ es.Recorded) string {
			name, _, _ := strings.Cut(e.(Opened).Owner, "=")
			return name
		},
		Apply: func(m *Member, e Event, _ es.Recorded) {
			if _, nick, _ := strings.Cut(e.(Opened).Owner, "="); nick != "" {
				m.Nick = &nick
			} else {
				m.Nick = nil
			}
		},
		Delete: func(m *Member) bool { return m.Nick != nil && *m.Nick == "gone" },
	}
}

func TestUnique_values_move_between_the_rows_of_a_batch(t *testing.T) {
	t.Parallel()
	for name, moves := range map[string][]string{
		"in a ring":                {"ann=bob", "ben=x", "|", "ben=y", "ann=alice", "ben=bob"},
		"from one that is deleted": {"ann=bob", "|", "ben=x", "ann=gone", "ben=bob"},
		"to one that is new":       {"ann=bob", "|", "ben=x", "ann=", "ben=bob"},
		"swapped":                  {"ann=a", "ben=b", "|", "ann=", "ben=a", "ann=b"},
		"many, and one is deleted": {"ann=bob", "*", "|", "ben=x", "ann=gone", "ben=bob", "*"},
	} {
		for _, batch := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s in batches of %d", name, batch), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				p := projections.New(w.store, members(), projections.WithBatch(batch))
				want := map[string]string{}
				var filled int
				play := func(move string) es.Position {
					if move != "*" {
						member, nick, _ := strings.Cut(move, "=")
						if want[member] = nick; nick == "gone" {
							delete(want, member)
						}
						return w.append("a-1", Opened{Owner: move})
					}
					var last es.Position
					for range 600 {
						filled++
						member := fmt.Sprintf("m%d", filled)
						want[member] = member
						last = w.append("many", Opened{Owner: member + "=" + member})
					}
					return last
				}
				var last es.Position
				for _, move := range moves {
					if move != "|" {
						last = play(move)
						continue
					}
					if err := p.Rebuild(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				stop := start(t, p)
				w.wait(p, last)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				check := func() {
					t.Helper()
					got := map[string]string{}
					for name, m := range tableOf(w, "members.members", func(m Member) string { return m.Name }) {
						if got[name] = ""; m.Nick != nil {
							got[name] = *m.Nick
						}
					}
					same(t, want, got)
				}
				check()
				if err := p.Rebuild(t.Context(), projections.WithChunk(650)); err != nil {
					t.Fatal(err)
				}
				check()
			})
		}
	}
}

// The event whose value a column refuses is named, in the midst of a batch.
// refusal is an event whose row the database does not take.
type refusal struct {
	table string
	bad   Event
	whole bool // nobody knows which row it is
}

func refusals() map[string]refusal {
	return map[string]refusal{
		"a text that is too long":   {table: `create table x (name text primary key, text varchar(10) not null, n bigint not null)`, bad: Opened{Owner: "far too long a text"}},
		"a check":                   {table: `create table x (name text primary key, text text not null, n bigint not null check (n < 100))`, bad: Deposited{Cents: 100}},
		"a number out of range":     {table: `create table x (name text primary key, text text not null, n smallint not null)`, bad: Deposited{Cents: 100_000}},
		"NUL in a text":             {table: `create table x (name text primary key, text text not null, n bigint not null)`, bad: Opened{Owner: "a\x00b"}},
		"no UTF-8":                  {table: `create table x (name text primary key, text text not null, n bigint not null)`, bad: Withdrawn{Cents: 77}},
		"a key that does not fit":   {table: `create table x (name int primary key, text text not null, n bigint not null)`, bad: Withdrawn{Cents: 78}, whole: true},
		"a key that casts not":      {table: `create table x (name date primary key, text text not null, n bigint not null)`, bad: Withdrawn{Cents: 79}, whole: true},
		"a value that another has":  {table: `create table x (name text primary key, text text not null, n bigint not null, exclude using hash (text with =))`, bad: Opened{Owner: "taken"}},
		"one that is checked later": {table: `create table x (name text primary key, text text not null unique deferrable initially deferred, n bigint not null)`, bad: Opened{Owner: "taken"}},
		"too large for its index":   {table: `create table x (name text primary key, text text not null unique, n bigint not null)`, bad: Withdrawn{Cents: 80}},
		"what a trigger forbids": {table: `create table x (name text primary key, text text not null, n bigint not null);
			create function forbid() returns trigger language plpgsql as $$ begin if new.n = 81 then raise exception 'not so'; end if; return new; end $$;
			create trigger forbid before insert or update on x for each row execute function forbid()`, bad: Deposited{Cents: 81}},
	}
}

type refusedRow struct {
	Name string `db:"name"`
	Text string `db:"text"`
	N    int64  `db:"n"`
}

// refusing has a row for each event.
func (of refusal) refusing() projections.Fold[refusedRow, Event] {
	return projections.Fold[refusedRow, Event]{
		Name: "x", Version: 1, Table: of.table, Codec: codec(),
		Key: func(e Event, r es.Recorded) string {
			if e, ok := e.(Withdrawn); ok && (e.Cents == 78 || e.Cents == 79) {
				return "nonsense"
			}
			switch {
			case strings.Contains(of.table, "name int"):
				return fmt.Sprint(int64(r.Version))
			case strings.Contains(of.table, "name date"):
				return time.Date(2026, 1, int(r.Version), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
			default:
				return fmt.Sprintf("%s %d", r.Stream.ID, r.Version)
			}
		},
		Apply: func(row *refusedRow, e Event, r es.Recorded) {
			row.Text = fmt.Sprint(r.Version)
			switch e := e.(type) {
			case Opened:
				row.Text = e.Owner
			case Deposited:
				row.N = e.Cents
			case Withdrawn:
				switch e.Cents {
				case 77:
					row.Text = "\xff"
				case 80:
					row.Text = noise(20_000)
				}
			}
		},
	}
}

// events are 17 of a stream, of which the 14th is refused.
func (of refusal) events() []Event {
	events := []Event{Opened{Owner: "taken"}, Deposited{Cents: 1}}
	for n := range 11 {
		events = append(events, Deposited{Cents: int64(n)})
	}
	return append(events, of.bad, Deposited{Cents: 3}, Deposited{Cents: 4}, Deposited{Cents: 5})
}

func TestRefused_value_names_its_event(t *testing.T) {
	t.Parallel()
	for what, of := range refusals() {
		for _, way := range []string{"live", "rebuilt"} {
			t.Run(what+", "+way, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				p := projections.New(w.store, of.refusing())
				events := of.events()
				w.append("a-1", events[:2]...)
				if way == "live" {
					if err := p.Rebuild(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				w.append("a-1", events[2:]...)
				run := p.Run
				if way == "rebuilt" {
					run = func(ctx context.Context) error { return p.Rebuild(ctx) }
				}
				err := run(within(t, 30*time.Second))
				var event *projections.EventError
				if !errors.As(err, &event) || event.Event.Version != 14 {
					t.Fatalf("got %v, want an EventError of version 14", err)
				}
			})
		}
	}
}

func TestRefused_value_is_parked(t *testing.T) {
	t.Parallel()
	for what, of := range refusals() {
		for _, way := range []string{"live", "rebuilt", "rebuilt with little memory"} {
			t.Run(what+", "+way, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				def := of.refusing()
				def.Order = projections.OneStream
				room := projections.WithMemory(1 << 20)
				if strings.Contains(way, "little") {
					room = projections.WithMemory(1)
				}
				p := projections.New(w.store, def, room)
				events := of.events()
				w.append("a-1", events[:2]...)
				if way == "live" {
					if err := p.Rebuild(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				last := w.append("a-1", events[2:]...)
				if way == "live" {
					start(t, p)
				} else if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				reach(t, p, last)
				want := int64(1)
				if of.whole {
					want = 4
				}
				list := wantParked(t, p, w.store, want)
				if list[0].Event.Version != 14 || list[0].Error == "" || (list[0].Key == "") != of.whole {
					t.Errorf("%+v", list)
				}
				if n := w.number(`select count(*) from x.x`); n != 17-want {
					t.Errorf("%d rows, want %d", n, 17-want)
				}
				err := p.AsOf(t.Context(), es.AtPosition(last), func(ctx context.Context, tx pgx.Tx) error {
					var n int64
					err := tx.QueryRow(ctx, `select count(*) from x`).Scan(&n)
					if n != 17-want {
						t.Errorf("%d rows as of the end, want %d", n, 17-want)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				w.wantApplied("x")
				if done, err := p.RetryAll(t.Context()); err != nil || done.Applied != 0 || done.Parked != 1 && !of.whole {
					t.Errorf("retried in vain: %+v, %v", done, err)
				}
				list = wantParked(t, p, w.store, want)
				if list[0].Attempts != 2 || !list[0].Last.After(list[0].First) || len(list) > 1 && list[1].Attempts != 0 {
					t.Errorf("%+v", list)
				}
			})
		}
	}
}

// noise is a text that cannot be compressed.
func noise(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(es.NewID().String())
	}
	return b.String()
}

// Fields that could not hold what they read are refused before anything is live.
func TestColumns_that_cannot_be_read_back_are_refused(t *testing.T) {
	t.Parallel()
	for _, pair := range []struct {
		column string
		def    func(table string) projections.Definition
		fits   bool
	}{
		{"date", of[string], false}, {"timestamptz", of[string], false}, {"timestamp", of[string], false}, {"boolean", of[string], false},
		{"text[]", of[string], false}, {"bytea", of[string], false}, {"int[]", of[string], false}, {"int", of[time.Time], false},
		{"text", of[int64], false}, {"uuid", of[int64], false}, {"date", of[int64], false}, {"boolean", of[int64], false},
		{"real", of[float64], false}, {"numeric(10,2)", of[float64], false}, {"int[]", of[[]string], true}, {"text", of[[]string], false},
		{"text", of[string], true}, {"varchar(9)", of[string], true}, {"date", of[time.Time], true}, {"timestamptz", of[time.Time], true},
		{"boolean", of[bool], true}, {"text[]", of[[]string], true}, {"real", of[float32], true}, {"double precision", of[float64], true},
		{"numeric(10,2)", of[pgtype.Numeric], true}, {"bigint", of[int64], true}, {"bytea", of[[]byte], true}, {"interval", of[pgtype.Interval], true},
		{"jsonb", of[map[string]int], true}, {"jsonb", of[[]string], true}, {"int4range", of[pgtype.Range[pgtype.Int4]], true},
	} {
		t.Run(fmt.Sprintf("%s and %T", pair.column, pair.def("")), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("a-1", Opened{Owner: "ann"})
			err := projections.New(w.store, pair.def(`create table x (k text primary key, v `+pair.column+`)`)).Rebuild(t.Context())
			if pair.fits && err != nil || !pair.fits && (!errors.Is(err, projections.ErrInvalid) || !contains(err, "column v of table x")) {
				t.Errorf("got %v, fits %v", err, pair.fits)
			}
			if n := w.number(`select count(*) from pg_namespace where nspname like 'x%'`); !pair.fits && n != 0 {
				t.Errorf("%d schemas are left", n)
			}
		})
	}
}

// cell is a row with a column of a type.
type cell[T any] struct {
	Key   string `db:"k"`
	Value *T     `db:"v"`
}

func of[T any](table string) projections.Definition {
	return projections.Fold[cell[T], Event]{
		Name: "x", Version: 1, Table: table, Codec: codec(),
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(*cell[T], Event, es.Recorded) {},
	}
}

// What Apply sees in a row does not depend on where batches end.
func TestRow_is_what_reading_it_back_gives(t *testing.T) {
	t.Parallel()
	type row struct {
		Key  string     `db:"k"`
		At   time.Time  `db:"at"`
		Wall time.Time  `db:"wall"`
		Day  time.Time  `db:"day"`
		Then *time.Time `db:"thence"`
		Code string     `db:"code"`
		Seen string     `db:"seen"`
	}
	zone := time.FixedZone("east", 3*3600)
	for _, batch := range []int{1, 3, 1000} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := projections.Fold[row, Event]{
				Name: "seen", Version: 1, Codec: codec(),
				Table: `create table seen (k text primary key, at timestamptz not null, wall timestamp not null, day date not null, thence timestamptz, code char(4) not null, seen text not null)`,
				Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
				Apply: func(r *row, e Event, _ es.Recorded) {
					if r.Then != nil {
						r.Seen += fmt.Sprintf("%s %s %s %s %q;", r.At, r.Wall, r.Day, r.Then, r.Code)
					}
					at := time.Date(2026, 1, 31, 23, 59, 59, 123456789, zone).Add(time.Duration(cents(e)) * time.Hour)
					r.At, r.Wall, r.Day, r.Then, r.Code = at, at, at, &at, "x"
				},
			}
			p := projections.New(w.store, def, projections.WithBatch(batch))
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			for n := range 7 {
				w.append("a-1", Deposited{Cents: int64(n)})
			}
			start(t, p)
			w.wait(p, w.append("a-1", Deposited{Cents: 1}))
			var seen string
			if err := w.pool.QueryRow(t.Context(), `select seen from seen.seen`).Scan(&seen); err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			for n := range 7 {
				at := time.Date(2026, 1, 31, 23, 59, 59, 123456000, zone).Add(time.Duration(n) * time.Hour)
				wall := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
				fmt.Fprintf(&want, "%s %s %s %s %q;", at.UTC(), wall, wall.Truncate(24*time.Hour), at.UTC(), "x   ")
			}
			if seen != want.String() {
				t.Errorf("got\n%s\nwant\n%s", strings.ReplaceAll(seen, ";", "\n"), strings.ReplaceAll(want.String(), ";", "\n"))
			}
		})
	}
}

func TestApply_that_fails_or_moves_its_row_names_the_event(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	broke := errors.New("no money")
	failing, moving, both := balances(), balances(), balances()
	failing.Apply, failing.TryApply = nil, func(_ *Balance, e Event, _ es.Recorded) error {
		if _, ok := e.(Deposited); ok {
			return broke
		}
		return nil
	}
	moving.Apply = func(b *Balance, e Event, _ es.Recorded) {
		if _, ok := e.(Deposited); ok {
			b.Account = "another"
		}
	}
	both.TryApply = failing.TryApply
	var event *projections.EventError
	if err := projections.New(w.store, failing).Rebuild(t.Context()); !errors.Is(err, broke) || !errors.As(err, &event) || event.Event.Version != 2 {
		t.Errorf("%v", err)
	}
	if err := projections.New(w.store, moving).Rebuild(t.Context()); !errors.As(err, &event) || event.Event.Version != 2 || !contains(err, `"a-1" to "another"`) {
		t.Errorf("%v", err)
	}
	if err := projections.New(w.store, both).Rebuild(t.Context()); !errors.Is(err, projections.ErrInvalid) || !contains(err, "one of Apply and TryApply") {
		t.Errorf("%v", err)
	}
}

type inner struct {
	N int64 `db:"n"`
}

func TestRow_types_that_lose_something_are_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type untagged struct {
		Key  string `db:"k"`
		Lost int64
	}
	type pointer struct {
		Key string `db:"k"`
		*inner
	}
	for text, def := range map[string]projections.Definition{
		"field Lost":   foldOf[untagged](),
		"by a pointer": foldOf[pointer](),
	} {
		if err := projections.New(w.store, def).Run(within(t, 20*time.Second)); !errors.Is(err, projections.ErrInvalid) || !contains(err, text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func foldOf[R any]() projections.Definition {
	return projections.Fold[R, Event]{
		Name: "x", Version: 1, Table: `create table x (k text primary key, n bigint)`, Codec: codec(),
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(*R, Event, es.Recorded) {},
	}
}

// More rows than one statement takes, written and deleted by large batches, by COPY and
// without it.
func TestRebuild_writes_and_deletes_every_row_of_large_chunks(t *testing.T) {
	t.Parallel()
	type row struct {
		Cents int64 `db:"cents"`
	}
	const rows = 15_000
	for _, keyType := range []string{"text", "numeric"} {
		t.Run(keyType, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := projections.Fold[row, Event]{
				Name: "many", Version: 1, Codec: codec(), Table: `create table many (k ` + keyType + ` primary key, cents bigint not null)`,
				Key: func(e Event, _ es.Recorded) string { return fmt.Sprint(cents(e)) },
				Apply: func(r *row, e Event, _ es.Recorded) {
					if r.Cents = cents(e); e.EventType() == (Withdrawn{}).EventType() {
						r.Cents = 0
					}
				},
				Delete: func(r *row) bool { return r.Cents == 0 },
			}
			var events []Event
			for n := range rows {
				events = append(events, Deposited{Cents: int64(n + 1)})
			}
			for n := range rows - 10 { // and all but ten of them go again
				events = append(events, Withdrawn{Cents: int64(n + 1)})
			}
			for len(events) > 0 {
				n := min(len(events), 1000)
				w.append("a-1", events[:n]...)
				events = events[n:]
			}
			var most int64
			err := projections.New(w.store, def).Rebuild(t.Context(), projections.WithChunk(rows), projections.WithProgress(func(p projections.Progress) {
				if p.Phase == "reading" {
					most = max(most, w.number(`select count(*) from many_v1_b1.many`))
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			if left := w.number(`select count(*) from many.many`); most < 10_001 || left != 10 {
				t.Errorf("%d rows were written at once, and %d are left, want 10", most, left)
			}
		})
	}
}
