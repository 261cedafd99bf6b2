package projectiontest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// wrong is a definition that is wrong on purpose, and what must be said of it.
type wrong struct {
	def  projections.Definition
	want []string
	not  string // what must not
}

const again, itself = "when all is done again", "It or Key keeps a variable of its own"

// Shares is a row whose column keeps less than its field could.
type Shares struct {
	Name   string         `db:"name"`
	Amount pgtype.Numeric `db:"amount"`
}

// Document is a row whose value comes back as another than it went.
type Document struct {
	Name string `db:"name"`
	Doc  Loud   `db:"doc"`
}

// Loud writes more than it reads.
type Loud string

// MarshalJSON has no reverse.
func (l Loud) MarshalJSON() ([]byte, error) { return json.Marshal(string(l) + "!") }

// UnmarshalJSON leaves all as it is.
func (l *Loud) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, (*string)(l)) }

// Ident is a row with an id.
type Ident struct {
	Name string    `db:"name"`
	ID   uuid.UUID `db:"id"`
	At   time.Time `db:"at"`
}

func lossy() projections.Definition {
	return projections.Fold[Shares, Counted]{
		Name: "shares", Version: 1, Codec: es.JSON[Counted](Counted{}),
		Table: `create table shares (name text primary key, amount numeric(10,1) not null)`,
		Key:   func(Counted, es.Recorded) string { return "all" },
		Apply: func(s *Shares, _ Counted, _ es.Recorded) { // adds 0.26
			if s.Amount.Int == nil {
				s.Amount = pgtype.Numeric{Int: big.NewInt(0), Exp: -2, Valid: true}
			}
			n, exp := big.NewInt(0).Set(s.Amount.Int), s.Amount.Exp
			for ; exp > -2; exp-- {
				n.Mul(n, big.NewInt(10))
			}
			s.Amount = pgtype.Numeric{Int: n.Add(n, big.NewInt(26)), Exp: -2, Valid: true}
		},
	}
}

// Raw is an event that is read when it is applied.
type Raw struct{ text []byte }

// EventType is that of another.
func (Raw) EventType() string { return "counted" }

// keeping is a codec that keeps the payload, and not a copy of it.
type keeping struct{ es.Codec[Counted] }

func (keeping) Encode(context.Context, es.StreamID, Raw) (es.EventData, error) {
	return es.EventData{}, es.ErrInvalid
}

func (keeping) Decode(_ context.Context, into []Raw, r es.RecordedEvent) ([]Raw, error) {
	return append(into, Raw{r.Data}), nil
}

func keepsPayloads() projections.Definition {
	return projections.Fold[Sum, Raw]{
		Name: "sums", Version: 1, Codec: keeping{es.JSON[Counted](Counted{})},
		Table: sums(nil).Table,
		Key:   func(_ Raw, r es.Recorded) string { return r.Stream.ID },
		Apply: func(s *Sum, e Raw, _ es.Recorded) { s.N = int64(e.text[0]) },
	}
}

// alone is an Apply that must not be called twice at once.
func alone() projections.Definition {
	busy := new(atomic.Bool)
	return sums(func(s *Sum, e Counted, _ es.Recorded) {
		if !busy.CompareAndSwap(false, true) {
			s.N = -1
			return
		}
		<-time.After(time.Millisecond)
		s.N++
		busy.Store(false)
	})
}

func document() projections.Definition {
	return projections.Fold[Document, Counted]{
		Name: "docs", Version: 1, Codec: es.JSON[Counted](Counted{}),
		Table: `create table docs (name text primary key, doc jsonb not null)`,
		Key:   func(_ Counted, r es.Recorded) string { return r.Stream.ID },
		Apply: func(d *Document, _ Counted, _ es.Recorded) {
			d.Doc += "a"
		},
	}
}

func idents(apply func(i *Ident, e Counted, r es.Recorded)) projections.Definition {
	return projections.Fold[Ident, Counted]{
		Name: "idents", Version: 1, Codec: es.JSON[Counted](Counted{}),
		Table: `create table idents (name text primary key, id uuid not null default gen_random_uuid(), at timestamptz not null default now())`,
		Key:   func(_ Counted, r es.Recorded) string { return r.Stream.ID },
		Apply: apply,
	}
}

// withKey is sums with another key.
func withKey(key func(e Counted, r es.Recorded) string) projections.Definition {
	f := sums(add)
	f.Key = key
	return f
}

func wrongFolds() map[string]wrong {
	var calls, later, total, numbered int64
	rows, ofStream := map[string]*Sum{}, map[string]int64{}
	return map[string]wrong{
		"counts calls":   {sums(func(s *Sum, _ Counted, _ es.Recorded) { calls++; s.N = calls }), []string{"n is 29 when the events come one by one, and n is 59 " + again, itself}, "clock, so"},
		"keeps payloads": {keepsPayloads(), []string{"n is 123 when the events come one by one, and n is 33 when the memory of their payloads is used again", "let Decode, and the UnmarshalJSON of a type, copy"}, again},
		"is alone":       {alone(), []string{"when Apply is called for several rows at the same time", "uses a variable that they share"}, "all is done again"},
		"asks a clock":   {sums(func(s *Sum, _ Counted, _ es.Recorded) { s.At = time.Now() }), []string{"table sums: at is ", again, "Apply asks a clock, so that every replay gives another time: take r.RecordedAt"}, ""},
		"asks a clock for a column with a default": {idents(func(i *Ident, _ Counted, r es.Recorded) { i.ID, i.At = r.ID, time.Now() }), []string{"table idents: at is ", "Apply asks a clock"}, "Without"},
		"draws numbers": {sums(func(s *Sum, _ Counted, _ es.Recorded) { s.N = rand.Int64() }), []string{"table sums: n is ", again, "draws random numbers"}, ""},
		"draws ids":     {idents(func(i *Ident, _ Counted, r es.Recorded) { i.ID, i.At = uuid.New(), r.RecordedAt }), []string{"table idents: id is ", again, "Apply draws a random id"}, ""},
		"counts calls from some on": {sums(func(s *Sum, _ Counted, _ es.Recorded) {
			if later++; later > 60 {
				s.N = later
			}
		}), []string{"n is 0 when the events come one by one", again, itself}, "at a time"},
		"goes over a map": {sums(func(s *Sum, _ Counted, _ es.Recorded) {
			s.Text = ""
			for name := range map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true} {
				s.Text += name
			}
		}), []string{"table sums: text is ", again, "goes over a map"}, ""},
		"reads the row of another key": {sums(func(s *Sum, e Counted, _ es.Recorded) {
			rows[s.Name], s.N = s, e.N
			if other := rows["0"]; other != nil {
				s.Last = other.N
			}
		}), []string{"last is ", "when the tables are rebuilt in parts", "it uses what it has seen with other rows"}, "at a time"},
		"reads a field without a column": {sums(func(s *Sum, e Counted, _ es.Recorded) { s.Spare += e.N; s.N = s.Spare }), []string{
			"row name=1 of table sums: n is 5 when the events come one by one, and n is 6 when they come 7 at a time",
			"It shows once the log has counted of count/1 version 2 at position 6;", "a field without a column is lost (Spare)"}, ""},
		"writes other JSON than it reads": {document(), []string{"when the events come one by one", "column doc of docs", "MarshalJSON and UnmarshalJSON, must be the reverse of each other"}, ""},
		"adds up over all rows": {sums(func(s *Sum, e Counted, r es.Recorded) {
			if r.Position == 1 {
				total = 0
			}
			total += e.N
			s.N = total
		}), []string{"when the tables are rebuilt in parts", "it uses what it has seen with other rows"}, "at a time"},
		"adds up beside the row": {sums(func(s *Sum, e Counted, r es.Recorded) {
			if r.Version == 1 {
				ofStream[s.Name] = 0
			}
			ofStream[s.Name] += e.N
			s.N = ofStream[s.Name]
		}), []string{"when programs die between the batches and in them", "was asked about events that were rolled back"}, "in parts"},
		"numbers its rows": {withKey(func(_ Counted, r es.Recorded) string {
			if r.Position == 1 {
				numbered = 0
			}
			numbered++
			return fmt.Sprint(numbered)
		}), []string{"when some events come twice", "something of it stayed"}, "at a time"},
		"the last value of several streams": {inCategory(projections.Commuting, func(s *Sum, e Counted, _ es.Recorded) { s.Last = e.N }), []string{
			"row name=count of table sums: last is 1 when the events come one by one, and last is 0 when one stream comes after the other",
			"Order says Commuting", "say LogOrder"}, "at a time"},
		"rows of several streams": {inCategory(projections.OneStream, add), []string{"Order is OneStream, and row \"count\" is fed by"}, ""},
		"fails on an event":       {sums(func(_ *Sum, _ Counted, r es.Recorded) { panic(r.Version) }), []string{"cannot apply counted of count/0 version 1"}, ""},
		"is refused": {sums(func(s *Sum, e Counted, _ es.Recorded) { s.Text = strings.Repeat("\x00", int(e.N/9)) }), []string{
			"when the events come one by one: projections: sums version 1 cannot apply counted of count/1 version 3 at position 10: the database refuses what it comes to"}, ""},
		"has no Apply": {sums(nil), []string{"one of Apply and TryApply"}, ""},
	}
}

// failing are those that the database refuses in some of the ways.
func failing() map[string]wrong {
	applied, ofStream := false, map[string]int64{}
	return map[string]wrong{
		"fails when it is done again": {sums(func(_ *Sum, _ Counted, r es.Recorded) {
			if r.Position == 30 {
				applied = true
			} else if applied {
				panic("once is enough")
			}
		}), []string{"all events can be applied when the events come one by one, and not when all is done again: ", "panic: once is enough", itself}, ""},
		"fails after a crash": {sums(func(s *Sum, _ Counted, r es.Recorded) {
			if r.Version == 1 {
				ofStream[s.Name] = 0
			}
			if ofStream[s.Name]++; ofStream[s.Name] != int64(r.Version) {
				panic("there is a gap")
			}
		}), []string{"all events can be applied when the events come one by one, and not when programs die between the batches and in them", "there is a gap", "something of it stayed"}, ""},
		"fails in another order": {statements(projections.Commuting, `create table sums (id text primary key, first text references sums, n bigint)`, func(b *pgx.Batch, _ Counted, r es.Recorded) {
			b.Queue(`insert into sums values ($1, '0', 1) on conflict do nothing`, r.Stream.ID)
		}), []string{"and not when one stream comes after the other", "cannot apply counted of count/3 version 1", "foreign key", "Order says Commuting"}, ""},
	}
}

func wrongStatements() map[string]wrong {
	const tables = `create table sums (id text primary key, n bigint not null)`
	var last, pending int64
	upsert := `insert into sums as s values ($1, $2) on conflict (id) do update set n = excluded.n`
	return map[string]wrong{
		"uses what a statement returned": {statements(projections.LogOrder, tables, func(b *pgx.Batch, e Counted, r es.Recorded) {
			if r.Position == 1 {
				last = 0
			}
			b.Queue(upsert+` returning n`, r.Stream.ID, last+e.N).QueryRow(func(row pgx.Row) error { return row.Scan(&last) })
		}), []string{"n is 6 when the events come one by one, and n is 4 when they come 2 at a time", "Apply must not use what a statement has returned"}, ""},
		"asks the database's clock": {statements(projections.LogOrder, `create table seen (id text primary key, at timestamptz not null default now())`, func(b *pgx.Batch, _ Counted, r es.Recorded) {
			b.Queue(`insert into seen values ($1, clock_timestamp()) on conflict do nothing`, r.Stream.ID+"x")
		}), nil, ""},
		"asks the database's clock for a column without a default": {statements(projections.LogOrder, `create table seen (id text primary key, at timestamptz not null)`, func(b *pgx.Batch, _ Counted, r es.Recorded) {
			b.Queue(`insert into seen values ($1, clock_timestamp()) on conflict do nothing`, r.Stream.ID)
		}), []string{"table seen: at is ", "Apply asks a clock", `projectiontest.Without("seen.at")`}, ""},
		"draws numbers": {statements(projections.LogOrder, tables, func(b *pgx.Batch, _ Counted, r es.Recorded) {
			b.Queue(`insert into sums values ($1, (random() * 1e15)::bigint) on conflict do nothing`, r.Stream.ID)
		}), []string{again, "random()"}, ""},
		"reads the row of another stream": {statements(projections.OneStream, tables, func(b *pgx.Batch, e Counted, r es.Recorded) {
			b.Queue(`insert into sums as s select $1, $2 + coalesce(max(n), 0) from sums on conflict (id) do update set n = excluded.n`, r.Stream.ID, e.N)
		}), []string{"when one stream comes after the other", "Order says OneStream", "a row that reads another"}, "at a time"},
		"draws numbers in batches": {statements(projections.LogOrder, tables, func(b *pgx.Batch, _ Counted, r es.Recorded) {
			n := int64(0)
			if pending++; pending > 1 {
				n = rand.Int64()
			}
			b.Queue(upsert, r.Stream.ID, n).Exec(func(pgconn.CommandTag) error { pending--; return nil })
		}), []string{"when they come 2 at a time, and n is ", again}, "one by one"},
		"checks a limit on rows whose key the database makes": {statements(projections.Commuting, `create table log (id text, number bigserial, n bigint, primary key (id, number))`, func(b *pgx.Batch, e Counted, r es.Recorded) {
			b.Queue(`insert into log (id, n) select $1, $2 where (select count(*) from log) < 5`, r.Stream.ID, e.N)
		}), []string{"row id=0 n=4 of table log: it is there once when the events come one by one, and it is not there when one stream"}, ""},
		"counts by order": {statements(projections.Commuting, `create table log (one bigint)`, func(b *pgx.Batch, e Counted, _ es.Recorded) {
			b.Queue(`insert into log select 1 where $1 >= 2 * (select count(*) from log)`, e.N)
		}), []string{"row one=1 of table log: it is there 2 times when the events come one by one, and it is there once when"}, ""},
		"leaves null by order": {statements(projections.Commuting, tables+`; alter table sums alter n drop not null`, func(b *pgx.Batch, _ Counted, r es.Recorded) {
			b.Queue(`insert into sums select $1, case when not exists (select from sums) then 1 end on conflict do nothing`, r.Stream.ID)
		}), []string{"table sums: n is 1 when the events come one by one, and n is null when one stream"}, ""},
		"checks a limit on all": {statements(projections.Commuting, `create table log (id text, n bigint)`, func(b *pgx.Batch, e Counted, r es.Recorded) {
			b.Queue(`insert into log select $1, $2 where (select count(*) from log) < 5`, r.Stream.ID, e.N)
		}), []string{"row id=0 n=4 of table log: it is there once when the events come one by one, and it is not there when one stream", "a condition over them"}, ""},
	}
}

func TestReplay_finds_what_is_wrong(t *testing.T) {
	t.Parallel()
	store := history(t)
	for _, list := range []map[string]wrong{wrongFolds(), wrongStatements(), failing()} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			bad := list[name]
			got := failures(t, store, bad.def)
			for _, want := range bad.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s: want %q, got %q", name, want, got)
				}
			}
			if bad.not != "" && strings.Contains(got, bad.not) {
				t.Errorf("%s: there is %q in %q", name, bad.not, got)
			}
		}
	}
}
