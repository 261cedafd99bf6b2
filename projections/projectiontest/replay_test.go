package projectiontest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
	Spare int64     `db:"-"` // has no column
}

func sums(apply func(s *Sum, e Counted, r es.Recorded)) projections.Definition {
	return projections.Fold[Sum, Counted]{
		Name: "sums", Version: 1, Codec: es.JSON[Counted](Counted{}),
		Table: `create table sums (name text primary key, n bigint not null, last bigint not null, at timestamptz not null)`,
		Key:   func(_ Counted, r es.Recorded) string { return r.Stream.Category },
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

func history(t *testing.T) *pgstore.Store {
	t.Helper()
	store, codec := pgstoretest.New(t), es.JSON[Counted](Counted{})
	for i := range 30 {
		data, err := codec.Encode(Counted{N: int64(i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Append(t.Context(), es.StreamID{Category: "count", ID: fmt.Sprint(i % 4)}, es.Any, data); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func TestReplay_passes_what_holds(t *testing.T) {
	t.Parallel()
	store := history(t)
	projectiontest.Replay(t, store, sums(add))
	projectiontest.Replay(t, store, sums(add), projectiontest.Seed(7))
	projectiontest.Replay(t, store, sums(func(s *Sum, e Counted, r es.Recorded) { s.Last, s.At = e.N, r.RecordedAt }), projectiontest.InOrder())
	projectiontest.Replay(t, store, projections.SQL[Counted]{
		Name: "sums", Version: 1, Codec: es.JSON[Counted](Counted{}),
		Tables: `create table sums (id text primary key, n bigint not null); create table log (id text, n bigint)`,
		Apply: func(b *pgx.Batch, e Counted, r es.Recorded) {
			b.Queue(`insert into sums as s values ($1, $2) on conflict (id) do update set n = s.n + excluded.n`, r.Stream.ID, e.N)
			b.Queue(`insert into log values ($1, $2)`, r.Stream.ID, e.N)
		},
	})
	var left int
	if err := store.Pool().QueryRow(t.Context(), `select count(*) from pg_namespace where nspname like 'sums%'`).Scan(&left); err != nil || left != 0 {
		t.Fatalf("%d schemas are left, %v", left, err)
	}
}

func TestReplay_finds_what_does_not_hold(t *testing.T) {
	t.Parallel()
	store := history(t)
	calls := int64(0)
	for name, bad := range map[string]struct {
		apply func(s *Sum, e Counted, r es.Recorded)
		want  string
	}{
		"state of its own":    {func(s *Sum, _ Counted, _ es.Recorded) { calls++; s.N = calls }, "replay one by one differs"},
		"a clock":             {func(s *Sum, _ Counted, _ es.Recorded) { s.At = time.Now() }, "replay with crashes differs"},
		"no column":           {func(s *Sum, e Counted, _ es.Recorded) { s.Spare += e.N; s.N = s.Spare }, "replay one by one differs"},
		"depends on order":    {func(s *Sum, e Counted, _ es.Recorded) { s.Last = e.N }, "replay shuffled (seed 1) differs"},
		"fails on an event":   {func(_ *Sum, _ Counted, r es.Recorded) { panic(r.Version) }, "cannot apply counted of count/0 version 1"},
		"touches nothing yet": {nil, "one of Apply and TryApply"},
	} {
		if got := failures(t, store, sums(bad.apply)); !strings.Contains(got, bad.want) {
			t.Errorf("%s: want %q, got %q", name, bad.want, got)
		}
	}
	def := sums(func(s *Sum, e Counted, _ es.Recorded) { s.Last = e.N })
	if got := failures(t, store, def, projectiontest.InOrder()); got != "" {
		t.Error(got)
	}
}

func TestReplay_needs_a_history(t *testing.T) {
	t.Parallel()
	if got := failures(t, pgstoretest.New(t), sums(add)); !strings.Contains(got, "leave no row") {
		t.Error(got)
	}
}
