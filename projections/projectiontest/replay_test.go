package projectiontest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
	"github.com/asof-dev/asof/projections/projectiontest"
)

// Counted is an event of these tests.
type Counted struct{ N int64 }

// EventType is the event's name.
func (Counted) EventType() string { return "counted" }

// Sum is a row.
type Sum struct {
	Name  string    `db:"name"`
	N     int64     `db:"n"`
	Last  int64     `db:"last"`
	At    time.Time `db:"at"`
	Text  string    `db:"text"`
	Spare int64     `db:"-"` // has no column
}

func sums(apply func(s *Sum, e Counted, r es.Recorded)) projections.Fold[Sum, Counted] {
	return projections.Fold[Sum, Counted]{
		Name: "sums", Version: 1, Codec: es.JSON[Counted](Counted{}),
		Table: `create table sums (name text primary key, n bigint not null, last bigint not null, at timestamptz not null, text text not null)`,
		Key:   func(_ Counted, r es.Recorded) string { return r.Stream.ID },
		Apply: apply,
	}
}

func add(s *Sum, e Counted, _ es.Recorded) { s.N += e.N }

// recorder is a test that may fail without consequence.
type recorder struct {
	testing.TB
	text string
}

func (*recorder) Helper() {}
func (r *recorder) Errorf(text string, args ...any) {
	r.text += fmt.Sprintf(text, args...) + "\n"
}

func (r *recorder) Fatalf(text string, args ...any) {
	r.Errorf(text, args...)
	runtime.Goexit()
}

// failures runs Replay and returns what it reports.
func failures(t *testing.T, store *pgstore.Store, def projections.Definition, options ...projectiontest.Option) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		projectiontest.Replay(r, store, def, options...)
	}()
	<-done
	return r.text
}

func history(t *testing.T, options ...pgstoretest.Option) *pgstore.Store {
	t.Helper()
	store, codec := pgstoretest.New(t, options...), es.JSON[Counted](Counted{})
	for i := range 30 {
		data, err := codec.Encode(t.Context(), es.StreamID{}, Counted{N: int64(i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Append(t.Context(), es.StreamID{Category: "count", ID: fmt.Sprint(i % 4)}, es.Any, data); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func TestReplay_needs_a_history(t *testing.T) {
	t.Parallel()
	if got := failures(t, pgstoretest.New(t), sums(add)); !strings.Contains(got, "leave no row") {
		t.Error(got)
	}
}

func TestReplay_leaves_nothing(t *testing.T) {
	t.Parallel()
	store := history(t)
	for _, def := range []projections.Definition{sums(add), sums(func(s *Sum, _ Counted, _ es.Recorded) { s.Spare++; s.N = s.Spare }), sums(func(*Sum, Counted, es.Recorded) { panic("no") })} {
		_ = failures(t, store, def)
		var left int
		if err := store.Pool().QueryRow(t.Context(), `select count(*) from pg_namespace where nspname like 'sums%'`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d schemas are left, %v", left, err)
		}
	}
}

func TestReplay_beside_the_live_read_model_leaves_it(t *testing.T) {
	t.Parallel()
	store := history(t)
	if err := projections.New(store, sums(add)).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	projectiontest.Replay(t, store, sums(add))
	var n int64
	if err := store.Pool().QueryRow(t.Context(), `select sum(n) from sums.sums`).Scan(&n); err != nil || n != 435 {
		t.Errorf("the sum is %d, %v", n, err)
	}
}

func TestReplay_of_one_category_leaves_the_others_out(t *testing.T) {
	t.Parallel()
	store := history(t)
	_, err := store.Append(t.Context(), es.StreamID{Category: "other", ID: "x"}, es.Any, es.EventData{ID: es.NewID(), Type: "counted", Data: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	def := sums(func(_ *Sum, _ Counted, r es.Recorded) {
		if r.Stream.Category != "count" {
			panic("not mine")
		}
	})
	def.Categories = []string{"count"}
	projectiontest.Replay(t, store, def)
}

// What a child row loses is named by the list that it is in.
func TestReplay_names_the_field_of_a_child_row_that_is_lost(t *testing.T) {
	t.Parallel()
	type item struct {
		ID    string `db:"id"`
		N     int64  `db:"n"`
		Spare int64  `db:"-"`
	}
	type list struct {
		Name  string `db:"name"`
		Items []item `rows:"items"`
	}
	got := failures(t, history(t), projections.Fold[list, Counted]{
		Name: "lists", Version: 1, Codec: es.JSON[Counted](Counted{}),
		Table: `create table lists (name text primary key); create table items (name text references lists, id text, n bigint not null, primary key (name, id))`,
		Key:   func(_ Counted, r es.Recorded) string { return r.Stream.ID },
		Apply: func(l *list, _ Counted, _ es.Recorded) {
			if len(l.Items) == 0 {
				l.Items = []item{{ID: "only"}}
			}
			l.Items[0].Spare++
			l.Items[0].N = l.Items[0].Spare
		},
	})
	if want := "is lost (Items.Spare)"; !strings.Contains(got, want) {
		t.Errorf("want %q in:\n%s", want, got)
	}
}
