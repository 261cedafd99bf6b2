package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/projectiontest"
)

// owners are texts that could be taken for more than one part of a key.
func owners() []string { return []string{"ann", "a,b", `a\`, `\,`, "", "Ann"} }

// Daily is what an owner has on a day: the order of the fields, of the columns and of the
// primary key are not the same.
type Daily struct {
	Cents  int64  `db:"cents"`
	Day    int32  `db:"day"`
	Owner  string `db:"owner"`
	Events int64  `db:"events"`
}

// daily has a primary key of two columns, of which each is written in several ways.
func daily() projections.Fold[Daily, Event] {
	return projections.Fold[Daily, Event]{
		Name: "daily", Version: 1, Codec: codec(), Order: projections.Commuting,
		Table: `create table daily (cents bigint not null, owner text, events bigint not null, day int, primary key (day, owner))`,
		Key: func(e Event, r es.Recorded) string {
			n := cents(e)
			return projections.CompositeKey(fmt.Sprintf([]string{"%d", "00%d", "+%d"}[r.Version%3], n%4), owners()[int(n)%len(owners())])
		},
		Apply: func(d *Daily, e Event, _ es.Recorded) {
			d.Cents += cents(e)
			d.Events++
		},
		Delete: func(d *Daily) bool { return d.Events == 4 },
	}
}

func (w *world) foldDaily(history []es.RecordedEvent) map[string]Daily {
	w.Helper()
	rows := map[string]Daily{}
	for _, recorded := range history {
		e, err := es.One(w.codec.Decode(w.Context(), nil, recorded))
		if err != nil {
			w.Fatal(err)
		}
		n := cents(e)
		d := Daily{Day: int32(n % 4), Owner: owners()[int(n)%len(owners())]}
		if known, ok := rows[byDay(d)]; ok {
			d = known
		}
		d.Cents += n
		if d.Events++; d.Events == 4 {
			delete(rows, byDay(d))
			continue
		}
		rows[byDay(d)] = d
	}
	return rows
}

func byDay(d Daily) string { return fmt.Sprintf("%d %q", d.Day, d.Owner) }

// fillDaily appends events of 12 rows and more.
func (w *world) fillDaily(events int) (last es.Position) {
	w.Helper()
	for n := range events {
		last = w.append(name(n%7), Deposited{Cents: int64(n * n)})
	}
	return last
}

func TestRows_with_a_key_of_several_columns_are_their_fold_live_rebuilt_and_as_of(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 7, 1000} {
		for _, bytes := range []int{1, 2_000, 1 << 20} {
			t.Run(fmt.Sprintf("batches of %d in %d bytes", batch, bytes), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				p := projections.New(w.store, daily(), projections.WithBatch(batch), projections.WithMemory(bytes))
				w.fillDaily(50)
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				stop := start(t, p)
				last := w.fillDaily(50)
				w.wait(p, last)
				check := func() {
					t.Helper()
					same(t, w.foldDaily(w.history()), tableOf(w, "daily.daily", byDay))
				}
				check()
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				w.rebuildEqual(p)
				check()
				history := w.history()
				for _, at := range []es.AsOf{es.AtPosition(history[30].Position), es.AtPosition(last)} {
					same(t, w.foldDaily(prefix(history, at)), asOf(w, p, at, "daily", byDay))
				}
			})
		}
	}
}

// Whatever the columns of the key are, and whether the database must be asked which texts
// are one.
func TestRows_with_a_key_of_several_columns_are_the_same_in_every_replay(t *testing.T) {
	t.Parallel()
	id := uuid.NewString()
	for what, of := range map[string]struct {
		before, first, second, after string
		firsts, seconds              []string
		rows                         int
	}{
		"text and int":     {first: "text", second: "int", firsts: owners(), seconds: []string{"7", "007", "+7", "8"}, rows: 9},
		"uuid and numeric": {first: "uuid", second: "numeric", firsts: []string{id, strings.ToUpper(id), "{" + id + "}"}, seconds: []string{"1", "1.0", "2"}, rows: 2},
		"date and text":    {first: "date", second: "text", firsts: []string{"2026-01-02", "20260102"}, seconds: []string{"a", "b,", "c"}, rows: 3},
		"collated":         {before: foldedCollation, first: "text collate folded", second: "text", firsts: []string{"Ann", "ANN"}, seconds: []string{"a", "A", "a"}, rows: 2},
		"with a trigger": {first: "text", second: "int", firsts: owners(), seconds: []string{"7", "8"}, rows: 6, after: `; create function twice() returns trigger language plpgsql as $$ begin return new; end $$;
			create trigger twice before insert or update on x for each row execute function twice()`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			type row struct {
				Seen string `db:"seen"`
			}
			w := newWorld(t)
			def := projections.Fold[row, Event]{
				Name: "x", Version: 1, Codec: codec(), Table: of.before + `create table x (k1 ` + of.second + `, k0 ` + of.first + `, seen text not null, primary key (k0, k1))` + of.after,
				Keys: func(e Event, _ es.Recorded) []string {
					n := int(cents(e))
					key := projections.CompositeKey(of.firsts[n%len(of.firsts)], of.seconds[n%len(of.seconds)])
					return []string{key, key}
				},
				Apply:  func(r *row, e Event, _ es.Recorded) { r.Seen += fmt.Sprintf("%d ", cents(e)) },
				Delete: func(r *row) bool { return r.Seen == "5 " },
			}
			for n := range 25 {
				w.append("a-1", Deposited{Cents: int64(n)})
			}
			projectiontest.Replay(t, w.store, def)
			if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := w.number(`select count(*) from x.x`); int(n) != of.rows {
				t.Errorf("%d rows, want %d", n, of.rows)
			}
		})
	}
}

// A key that does not name each column says which row as little as an event that cannot be
// read.
func TestKey_that_does_not_name_each_column_parks_its_event(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := daily()
	key := def.Key
	def.Key = func(e Event, r es.Recorded) string {
		if e == (Opened{}) {
			return []string{"1", "1,2,3", `1,\2`, `1,2\`, `1,2,\`}[r.Position-1]
		}
		return key(e, r)
	}
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	for n := range 5 { // each of a stream of its own, or all wait behind the first
		w.append(fmt.Sprint("bad-", n), Opened{})
	}
	last := w.fillDaily(9)
	reach(t, p, last)
	check := func() {
		t.Helper()
		for _, u := range wantParked(t, p, w.store, 5) {
			if u.Key != "" || u.Error == "" || u.Event.Position == 1 && !strings.Contains(u.Error, `the key "1" does not name the 2 columns of the primary key (day, owner) of table daily: write it with projections.CompositeKey`) {
				t.Errorf("%+v", u)
			}
		}
		same(t, w.foldDaily(w.history()[5:]), tableOf(w, "daily.daily", byDay))
	}
	check()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	def.Order = projections.LogOrder
	def.Name = "strict"
	var event *projections.EventError
	if err := projections.New(w.store, def).Rebuild(t.Context()); !errors.As(err, &event) || event.Event.Position != 1 {
		t.Errorf("%v", err)
	}
}

// A row that is parked has a key that people can read and give back.
func TestParked_row_with_a_key_of_several_columns_is_named_and_retried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := daily()
	def.Table = strings.Replace(def.Table, "cents bigint not null", "cents bigint not null check (cents < 49)", 1)
	p := projections.New(w.store, def)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	reach(t, p, w.append("a-1", Deposited{Cents: 49}, Deposited{Cents: 1}, Deposited{Cents: 5})) // of the rows 1 a,b and 1 Ann
	list := wantParked(t, p, w.store, 2)
	if list[0].Key != `1,a\,b` || list[1].Key != `1,a\,b` || list[1].Error != "" {
		t.Errorf("%+v", list)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.exec(`alter table daily.daily drop constraint daily_cents_check`)
	if done, err := p.RetrySequence(t.Context(), account("a-1"), projections.CompositeKey("1", "a,b")); err != nil || done.Applied != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	wantParked(t, p, w.store, 0)
	same(t, w.foldDaily(w.history()), tableOf(w, "daily.daily", byDay))
}

func TestApply_that_changes_a_part_of_the_key_names_the_event(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Deposited{Cents: 1}, Deposited{Cents: 2})
	def := daily()
	apply := def.Apply
	def.Order = projections.LogOrder
	def.Apply = func(d *Daily, e Event, r es.Recorded) {
		apply(d, e, r)
		d.Owner = strings.ToUpper(d.Owner[:1]) + d.Owner[1:]
		if cents(e) == 1 {
			d.Owner = "a,b" // as it is
		}
	}
	var event *projections.EventError
	if err := projections.New(w.store, def).Rebuild(t.Context()); !errors.As(err, &event) || event.Event.Version != 2 || !contains(err, `it changes the key of the row, column owner, from "a\\" to "A\\"`) {
		t.Errorf("%v", err)
	}
}

func TestRows_with_a_key_of_several_columns_are_copied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def := daily()
	def.Key = func(e Event, _ es.Recorded) string { return projections.CompositeKey(fmt.Sprint(cents(e)/100), "ann") }
	apply := def.Apply
	var applied atomic.Int64
	def.Apply, def.Delete = func(d *Daily, e Event, r es.Recorded) { applied.Add(1); apply(d, e, r) }, nil
	for n := range 15 {
		events := make([]Event, 1000)
		for i := range events {
			events[i] = Deposited{Cents: int64(100*(1000*n+i)) + 1}
		}
		w.append("many", events...)
	}
	p := projections.New(w.store, def) // by COPY, with the key made after
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from daily.daily where day * 100 + 1 = cents and owner = 'ann'`); n != 15_000 || applied.Load() != 15_000 {
		t.Errorf("%d rows, of %d events that were applied: what cannot be copied is tried again", n, applied.Load())
	}
	err := p.AsOf(t.Context(), es.AtPosition(14_000), func(ctx context.Context, tx pgx.Tx) error {
		var n int
		err := tx.QueryRow(ctx, `select count(*) from daily`).Scan(&n)
		if n != 14_000 {
			t.Errorf("%d rows", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
