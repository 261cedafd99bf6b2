package projections_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/projectiontest"
)

// Sheet is what an account did, with child rows in two tables.
type Sheet struct {
	Account string  `db:"account"`
	Entries []Entry `rows:"entries"`
	Events  int64   `db:"events"`
	Marks   []Mark  `rows:"marks"`
}

// Entry is a child row whose key has two columns of its own.
type Entry struct {
	Cents int64  `db:"cents"`
	Slot  int16  `db:"slot"`
	Kind  string `db:"kind"`
	Note  string `db:"note"` // char(8)
}

// Mark is a child row that has its parent's key.
type Mark struct {
	ID   string `db:"id"` // uuid
	Of   string `db:"account"`
	Seen int64  `db:"seen"`
}

const sheetsTable = `
	create table marks (account text, id uuid, seen bigint not null, primary key (account, id));
	create table sheets (events bigint not null, account text primary key);
	create table entries (note char(8) not null, slot smallint, account text references sheets, kind text, cents bigint not null, primary key (account, kind, slot));
	alter table marks add foreign key (account) references sheets`

func markID(n int64) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], uint64(n%4)*0xabcdef)
	return id
}

// sheets adds, changes and removes child rows in any order.
func sheets() projections.Fold[Sheet, Event] {
	return projections.Fold[Sheet, Event]{
		Name: "sheets", Version: 1, Codec: codec(), Order: projections.OneStream, Table: sheetsTable,
		Key: func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(s *Sheet, e Event, _ es.Recorded) {
			n := cents(e)
			if i := slices.IndexFunc(s.Marks, func(m Mark) bool { return m.Of != s.Account }); i >= 0 || s.Entries != nil && len(s.Entries) == 0 {
				panic(fmt.Sprintf("it is not as it is read: %+v", s))
			}
			s.Events++
			if n%11 == 0 {
				s.Entries = s.Entries[:0]
				return
			}
			kind, slot := owners()[n%6], int16(n%3)-1
			i := slices.IndexFunc(s.Entries, func(e Entry) bool { return e.Kind == kind && e.Slot == slot })
			switch {
			case i < 0:
				s.Entries = slices.Insert(s.Entries, len(s.Entries)/2, Entry{Kind: kind, Slot: slot, Cents: n, Note: fmt.Sprint(n % 2)})
			case n%5 == 0:
				s.Entries = slices.Delete(s.Entries, i, i+1)
			default:
				s.Entries[i].Cents += n + int64(len(s.Entries[i].Note)) // 8, whatever was written
			}
			id := markID(n)
			i = slices.IndexFunc(s.Marks, func(m Mark) bool { return m.ID == id.String() })
			if i < 0 {
				s.Marks = append([]Mark{{ID: strings.ToUpper(id.String())}}, s.Marks...)
				i = 0
			}
			s.Marks[i].Seen++
		},
		Delete: func(s *Sheet) bool { return s.Events == 12 },
	}
}

// sheetsAre is what stands in the three tables, a text for each row.
func (w *world) sheetsAre(history []es.RecordedEvent) []string {
	w.Helper()
	type sheet struct {
		events  int64
		entries map[string]string
		cents   map[string]int64
		marks   map[string]int64
	}
	all := map[string]*sheet{}
	for _, recorded := range history {
		e, err := es.One(w.codec.Decode(w.Context(), nil, recorded))
		if err != nil {
			w.Fatal(err)
		}
		n, of := cents(e), recorded.Stream.ID
		s := all[of]
		if s == nil {
			s = &sheet{entries: map[string]string{}, cents: map[string]int64{}, marks: map[string]int64{}}
			all[of] = s
		}
		s.events++
		if n%11 == 0 {
			clear(s.entries)
			clear(s.cents)
		} else {
			key := fmt.Sprintf("entry %s %q %d", of, owners()[n%6], n%3-1)
			_, known := s.entries[key]
			switch {
			case !known:
				s.entries[key], s.cents[key] = fmt.Sprintf("%-8s", fmt.Sprint(n%2)), n
			case n%5 == 0:
				delete(s.entries, key)
				delete(s.cents, key)
			default:
				s.cents[key] += n + 8
			}
			s.marks[fmt.Sprintf("mark %s %s", of, markID(n))]++
		}
		if s.events == 12 {
			delete(all, of)
		}
	}
	var list []string
	for of, s := range all {
		list = append(list, fmt.Sprintf("sheet %s %d", of, s.events))
		for key, note := range s.entries {
			list = append(list, fmt.Sprintf("%s %q %d", key, note, s.cents[key]))
		}
		for key, seen := range s.marks {
			list = append(list, fmt.Sprintf("%s %d", key, seen))
		}
	}
	slices.Sort(list)
	return list
}

// sheetsIn reads the three tables.
func sheetsIn(t testing.TB, db queries, schema string) (list []string) {
	t.Helper()
	for _, sql := range []string{
		`select account, events from %ssheets`, `select account, kind, slot, note, cents from %sentries`, `select account, id::text, seen from %smarks`,
	} {
		rows, err := db.Query(t.Context(), fmt.Sprintf(sql, schema), pgx.QueryExecModeExec)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprintf([]string{2: "sheet %s %d", 5: "entry %s %q %d %q %d", 3: "mark %s %s %d"}[len(values)], values...))
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	slices.Sort(list)
	return list
}

func sameList(t testing.TB, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("rows differ (-want +got):\n%s", diff)
	}
}

func (w *world) fillSheets(from, events int) (last es.Position) {
	w.Helper()
	for n := range events {
		last = w.append(name(n%3), Deposited{Cents: int64((from + n) * (from + n))})
	}
	return last
}

func TestChild_rows_are_their_fold_live_rebuilt_and_as_of(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 7, 1000} {
		for _, bytes := range []int{1, 4_000, 1 << 20} {
			t.Run(fmt.Sprintf("batches of %d in %d bytes", batch, bytes), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				p := projections.New(w.store, sheets(), projections.WithBatch(batch), projections.WithMemory(bytes))
				w.fillSheets(0, 40)
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				stop := start(t, p)
				last := w.fillSheets(40, 70)
				w.wait(p, last)
				check := func() {
					t.Helper()
					sameList(t, w.sheetsAre(w.history()), sheetsIn(t, w.pool, "sheets."))
				}
				check()
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				w.rebuildEqual(p)
				check()
				history := w.history()
				for _, at := range []es.AsOf{es.AtPosition(history[30].Position), es.AtPosition(last)} {
					err := p.AsOf(t.Context(), at, func(_ context.Context, tx pgx.Tx) error {
						sameList(t, w.sheetsAre(prefix(history, at)), sheetsIn(t, tx, ""))
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func TestChild_rows_are_the_same_in_every_replay(t *testing.T) {
	t.Parallel()
	for what, ddl := range map[string]string{
		"as they are":                sheetsTable,
		"that go with their parents": strings.Replace(sheetsTable, "references sheets", "references sheets on delete cascade", 1),
		"with a trigger": sheetsTable + `; create function same() returns trigger language plpgsql as $$ begin return new; end $$;
			create trigger same before insert or update on entries for each row execute function same()`,
		"that are unique in another way, too": sheetsTable + `; create unique index on entries (account, cents, note, (slot % 2), substr(kind, 1, 1))`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for n := range 40 {
				w.append(name(n%2), Deposited{Cents: int64(n * n)})
			}
			def := sheets()
			def.Table = ddl
			projectiontest.Replay(t, w.store, def)
		})
	}
}

// From the topics alone, in which a row's parking, lanes and versions are those of any row.
func TestChild_rows_are_their_fold_from_the_topics(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	w := c.world
	def := sheets()
	def.Categories = []string{c.category}
	p := c.projector(def)
	stop := start(t, p)
	c.untilReading(p)
	end := c.relay(asIs)
	last := w.fillSheets(0, 80)
	w.wait(p, last)
	end()
	sameList(t, w.sheetsAre(w.history()), sheetsIn(t, w.pool, "sheets."))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// What has not changed is not written.
func TestChild_rows_that_are_as_they_were_are_not_written(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := projections.New(w.store, sheets())
	applied := w.running(p)
	applied(w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 2}, Deposited{Cents: 3}))
	xmin := func(slot int) int64 {
		return w.number(`select xmin::text::bigint from sheets.entries where slot = $1`, slot)
	}
	kept, changed := xmin(0), xmin(1)
	for range 2 { // from what was written, and from what was written before that
		applied(w.append("a-1", Deposited{Cents: 2})) // of slot 1
		if xmin(0) != kept || xmin(1) == changed {
			t.Errorf("%d and %d, before %d and %d", xmin(0), xmin(1), kept, changed)
		}
	}
	w.exec(`update sheets.sheets set events = events`) // what is in memory is forgotten
	applied(w.append("a-1", Deposited{Cents: 2}))
	if xmin(0) != kept {
		t.Errorf("%d, before %d", xmin(0), kept)
	}
}

// Child rows that a projector has in memory and that an operator changes are read again.
func TestChild_rows_that_were_changed_by_hand_are_read_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	applied := w.running(projections.New(w.store, sheets()))
	cents := func() int64 { return w.number(`select coalesce(sum(cents), 0) from sheets.entries`) }
	for range 3 { // the first may be the build's, the second is read, and then memory has them
		applied(w.append("a-1", Deposited{Cents: 1}))
	}
	w.exec(`update sheets.entries set cents = 1000`)
	applied(w.append("a-1", Deposited{Cents: 1}))
	if n := cents(); n != 1009 {
		t.Errorf("after an update: %d", n)
	}
	w.exec(`delete from sheets.entries`)
	applied(w.append("a-1", Deposited{Cents: 1}))
	if n := cents(); n != 1 {
		t.Errorf("after a delete: %d", n)
	}
	w.exec(`insert into sheets.entries values ('x', -1, 'a-1', 'ann', 500)`)
	applied(w.append("a-1", Deposited{Cents: 6})) // its entry is that one
	if n := cents(); n != 515 {
		t.Errorf("after an insert: %d", n)
	}
	w.exec(`update sheets.entries set cents = 400 where cents = 514`)
	applied(w.append("a-1", Deposited{Cents: 11})) // all go
	if n := cents(); n != 0 {
		t.Errorf("after an update of what goes: %d", n)
	}
}

// A unique value may move from one child to another.
func TestChild_rows_may_exchange_what_is_unique(t *testing.T) {
	t.Parallel()
	type Place struct {
		Name string `db:"name"`
		At   int    `db:"at"`
	}
	type Queue struct {
		Account string  `db:"account"`
		Places  []Place `rows:"places"`
	}
	w := newWorld(t)
	p := projections.New(w.store, projections.Fold[Queue, Event]{
		Name: "queues", Version: 1, Codec: codec(), Order: projections.OneStream,
		Table: `create table queues (account text primary key);
			create table places (account text, name text, at int not null, primary key (account, name), unique (account, at), foreign key (account) references queues)`,
		Key: func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(q *Queue, e Event, _ es.Recorded) {
			if opened, ok := e.(Opened); ok {
				q.Places = append(q.Places, Place{opened.Owner, len(q.Places)})
				return
			}
			for i := range q.Places {
				q.Places[i].At = (q.Places[i].At + 1) % len(q.Places)
			}
		},
	})
	applied := w.running(p)
	applied(w.append("a-1", Opened{"ann"}, Opened{"bob"}, Opened{"cid"}))
	for range 4 { // and then from what was written
		applied(w.append("a-1", Deposited{1}))
	}
	got := tableOf(w, "queues.places", func(p struct {
		Account string `db:"account"`
		Place
	},
	) string {
		return p.Name
	})
	if got["ann"].At != 1 || got["bob"].At != 2 || got["cid"].At != 0 {
		t.Errorf("%+v", got)
	}
	if status, err := p.Status(t.Context()); err != nil || status.Parked != 0 {
		t.Errorf("%+v, %v", status, err)
	}
	w.rebuildEqual(p)
}

func TestChild_rows_that_cannot_be_park_their_event(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*Sheet){
		`field Entries, rows of table entries: two have the key "bad,x,1"`: func(s *Sheet) {
			s.Entries = append(s.Entries, Entry{Kind: "x", Slot: 1}, Entry{Kind: "a"}, Entry{Kind: "x", Slot: 1, Cents: 1})
		},
		"field Marks, rows of table marks: field Of is ann, and its parent's key is bad": func(s *Sheet) { s.Marks = append(s.Marks, Mark{ID: markID(1).String(), Of: "ann"}) },
		`"nobody" in field ID is no uuid`:                                                func(s *Sheet) { s.Marks = append(s.Marks, Mark{ID: "nobody"}) },
		"value too long for type character(8)": func(s *Sheet) {
			s.Entries = append(s.Entries, Entry{Kind: "x", Note: "123456789"})
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			def := sheets()
			apply := def.Apply
			def.Apply = func(s *Sheet, e Event, r es.Recorded) {
				apply(s, e, r)
				if r.Stream.ID == "bad" && r.Version == 2 {
					spoil(s)
				}
			}
			p := projections.New(w.store, def)
			applied := w.running(p)
			w.append("bad", Deposited{Cents: 5}, Deposited{Cents: 9})
			applied(w.fillSheets(0, 10))
			list := wantParked(t, p, w.store, 1)
			if list[0].Key != "bad" || !strings.Contains(list[0].Error, want) {
				t.Errorf("%+v", list[0])
			}
			var good []es.RecordedEvent
			for _, e := range w.history() {
				if e.Stream.ID != "bad" || e.Version == 1 {
					good = append(good, e)
				}
			}
			sameList(t, w.sheetsAre(good), sheetsIn(t, w.pool, "sheets."))
		})
	}
}

func TestChild_rows_are_copied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := sheets()
	var applied atomic.Int64 // rows are folded side by side where Apply takes its time
	def.Apply, def.Delete = func(s *Sheet, e Event, _ es.Recorded) {
		applied.Add(1)
		for i := range 100 {
			s.Entries = append(s.Entries, Entry{Kind: fmt.Sprint(cents(e)), Slot: int16(i), Cents: cents(e)})
		}
		s.Marks = append(s.Marks, Mark{ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, cents(e))).String()})
	}, nil
	for n := range 300 {
		w.append(name(n%5), Deposited{Cents: int64(n)})
	}
	p := projections.New(w.store, def) // by COPY, with the keys made after
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from sheets.entries where kind = cents::text`); n != 30_000 || applied.Load() != 300 {
		t.Errorf("%d rows, of %d events that were applied: what cannot be copied is tried again", n, applied.Load())
	}
	if n := w.number(`select count(*) from sheets.marks join sheets.sheets using (account)`); n != 300 {
		t.Errorf("%d marks", n)
	}
	if n := w.number(`select count(*) from pg_constraint where connamespace = 'sheets'::regnamespace and contype in ('p', 'f')`); n != 5 {
		t.Errorf("%d keys", n)
	}
}

// A uuid tells child rows apart in whatever type the field has.
func TestChild_rows_may_have_a_uuid(t *testing.T) {
	t.Parallel()
	type Part struct {
		ID   uuid.UUID `db:"id"`
		Seen int64     `db:"seen"`
	}
	type Whole struct {
		Account string `db:"account"`
		Parts   []Part `rows:"parts"`
	}
	for _, batch := range []int{1, 5, 1000} {
		w := newWorld(t)
		p := projections.New(w.store, projections.Fold[Whole, Event]{
			Name: "wholes", Version: 1, Codec: codec(), Order: projections.OneStream,
			Table: `create table wholes (account text primary key); create table parts (account text references wholes, id uuid, seen bigint not null, primary key (account, id))`,
			Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
			Apply: func(w *Whole, e Event, _ es.Recorded) {
				id := markID(cents(e))
				i := slices.IndexFunc(w.Parts, func(p Part) bool { return p.ID == id })
				if i < 0 {
					w.Parts, i = append([]Part{{ID: id}}, w.Parts...), 0
				}
				w.Parts[i].Seen++
			},
		}, projections.WithBatch(batch))
		applied := w.running(p)
		for n := range 20 {
			last := w.append("a-1", Deposited{Cents: int64(n * n * n)}, Deposited{Cents: int64(3 - n%4)})
			if n == 5 {
				applied(last)
				w.exec(`update wholes.parts set seen = seen`) // what is in memory is read again
			}
			if n == 19 {
				applied(last)
			}
		}
		got := map[string]int64{}
		for id, row := range tableOf(w, "wholes.parts", func(p struct {
			Account string `db:"account"`
			Part
		},
		) string {
			return p.ID.String()
		}) {
			got[id] = row.Seen
		}
		want := map[string]int64{}
		for n := range int64(20) {
			want[markID(n*n*n).String()]++
			want[markID(3-n%4).String()]++
		}
		same(t, want, got)
		w.rebuildEqual(p)
	}
}

// What a trigger changes on its way is not what memory has.
func TestChild_rows_that_a_trigger_changes_are_read_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := sheets()
	def.Table += `; create function tens() returns trigger language plpgsql as $$ begin new.cents := new.cents / 10 * 10; return new; end $$;
		create trigger tens before insert or update on entries for each row execute function tens()`
	applied := w.running(projections.New(w.store, def))
	for range 3 {
		applied(w.append("a-1", Deposited{Cents: 7}))
	}
	if n := w.number(`select cents from sheets.entries`); n != 20 { // 7 is 0, 15 is 10, 25 is 20
		t.Errorf("%d cents", n)
	}
}

// A type of the DDL's own is none that COPY knows.
func TestChild_rows_that_cannot_be_copied_are_inserted(t *testing.T) {
	t.Parallel()
	type Line struct {
		N     int      `db:"n"`
		Sides []string `db:"sides"`
	}
	type Book struct {
		Account string `db:"account"`
		Lines   []Line `rows:"lines"`
	}
	w := newWorld(t)
	for n := range 700 {
		w.append(name(n%3), Deposited{Cents: int64(n)})
	}
	var applied atomic.Int64
	err := projections.New(w.store, projections.Fold[Book, Event]{
		Name: "books", Version: 1, Codec: codec(), Order: projections.OneStream,
		Table: `create type side as enum ('in', 'out'); create table books (account text primary key); create table lines (account text, n int, sides side[] not null, primary key (account, n))`,
		Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
		Apply: func(b *Book, e Event, _ es.Recorded) {
			applied.Add(1)
			b.Lines = append(b.Lines, Line{int(cents(e)), []string{"in"}})
		},
	}).Rebuild(t.Context())
	if n := w.number(`select count(*) from books.lines where sides::text = '{in}'`); err != nil || n != 700 || applied.Load() != 700 {
		t.Errorf("%d rows of %d events that were applied, %v", n, applied.Load(), err)
	}
}

func TestRow_types_with_child_rows_that_do_not_fit_are_refused(t *testing.T) {
	t.Parallel()
	type line struct {
		N int `db:"n"`
	}
	one := `create table x (id text primary key); `
	refused(t, "two fields for one table", one, struct {
		ID string `db:"id"`
		A  []line `rows:"lines"`
		B  []line `rows:"lines"`
	}{}, `fields A and B of`, `have the same rows tag "lines"`)
	refused(t, "no slice", one, struct {
		ID string `db:"id"`
		A  line   `rows:"lines"`
	}{}, "make it a slice of structs, the child rows")
	refused(t, "pointers", one, struct {
		ID string  `db:"id"`
		A  []*line `rows:"lines"`
	}{}, "make it a slice of structs, the child rows")
	refused(t, "embedded by a pointer", one, struct {
		ID     string `db:"id"`
		*Lists `db:"-"`
	}{}, "lies in a struct that is embedded by a pointer")
	refused(t, "no name", one, struct {
		ID string `db:"id"`
		A  []line `rows:""`
	}{}, "name the table of the child rows")
	refused(t, "a column, too", one, struct {
		ID string `db:"id"`
		A  []line `db:"a"  rows:"lines"`
	}{}, "it is a column, or a list of child rows")
	refused(t, "not exported", one, struct {
		ID string `db:"id"`
		a  []line `rows:"lines"`
	}{}, "must be exported")
	refused(t, "children of children", one, struct {
		ID string `db:"id"`
		A  []struct {
			N int    `db:"n"`
			B []line `rows:"other"`
		} `rows:"lines"`
	}{}, "its child rows have some of their own in B")
	refused(t, "a field without a column", one, struct {
		ID string `db:"id"`
		A  []struct {
			N int `db:"n"`
			M int
		} `rows:"lines"`
	}{}, "field M of", "has no db tag")

	refused(t, "of a type of the DDL", `create type pair as (a int, b int); create table x (id text primary key, m pair)`, struct {
		ID string `db:"id"`
		M  string `db:"m"`
	}{}, "column m of table x is pair, ")

	type parent struct {
		ID string `db:"id"`
		A  []line `rows:"lines"`
	}
	refused(t, "a collated text", `create collation c (provider = icu, locale = 'und-u-ks-level2', deterministic = false); `+one+
		`create table lines (id text, n text collate c, primary key (id, n))`, struct {
		ID string `db:"id"`
		A  []struct {
			N string `db:"n"`
		} `rows:"lines"`
	}{}, "column n tells rows of table lines apart, and is text collate ")
	for ddl, want := range map[string]string{
		one: "its DDL makes no table lines, which the rows tag of field A names",
		one + `create table lines (n int primary key)`:                                                                                                                          "the primary key of table lines has 1 columns: child rows need those of x and then at least one that tells them apart",
		one + `create table lines (n int, id text, primary key (n, id))`:                                                                                                        "the primary key of table lines begins with n integer: of child rows it must begin as that of x does, with text",
		one + `create table lines (id varchar, n int, primary key (id, n))`:                                                                                                     "begins with id character varying: of child rows it must begin as that of x does, with text",
		`create table x (id varchar(5) primary key); create table lines (id varchar(3), n int, primary key (id, n))`:                                                            "of child rows it must begin as that of x does, with character varying of the same length or scale",
		one + `create table lines (id text, n int, m int, primary key (id, n, m))`:                                                                                              "column m tells rows of table lines apart, and",
		one + `create table lines (id text, n text, primary key (id, n))`:                                                                                                       "column n tells rows of table lines apart, and is text in a field of type int: make it a text in a string",
		one + `create table lines (id text, n numeric, primary key (id, n))`:                                                                                                    "column n tells rows of table lines apart, and is numeric",
		one + `create table lines (id text, n int, m int not null, primary key (id, n))`:                                                                                        "column m of table lines is not null, has no default and no field",
		one + `create table lines (id text, n int, primary key (id, n)); create table y (id text primary key)`:                                                                  "its DDL makes the tables x and y: a Fold has one, and one for each list of child rows: give a slice in the row type the tag `rows:\"y\"`, or use Statements",
		one + `create table lines (id text, n int, primary key (id, n) deferrable)`:                                                                                             "the primary key of table lines is deferrable",
		one + `create table lines (id text, n int)`:                                                                                                                             "table lines needs a primary key",
		`create table lines (id text, n int, primary key (id, n))`:                                                                                                              "its DDL makes no table",
		`create collation c (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ` + one + `create table lines (id text collate c, n int, primary key (id, n))`: "of child rows it must begin as that of x does",
	} {
		refused(t, want, ddl, parent{}, want)
	}
}

// Lists is embedded by a pointer.
type Lists struct {
	A []struct {
		N int `db:"n"`
	} `rows:"lines"`
}

// refused wants a definition of a row type to be refused as a mistake, with texts.
func refused[R any](t *testing.T, what, ddl string, _ R, texts ...string) {
	t.Helper()
	t.Run(what, func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.append("a-1", Deposited{1})
		err := projections.New(w.store, projections.Fold[R, Event]{
			Name: "x", Version: 1, Codec: codec(), Table: ddl,
			Key:   func(_ Event, r es.Recorded) string { return r.Stream.ID },
			Apply: func(*R, Event, es.Recorded) {},
		}).Rebuild(t.Context())
		for _, text := range append(texts, projections.ErrInvalid.Error()) {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%v lacks %q", err, text)
			}
		}
	})
}
