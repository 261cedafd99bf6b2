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

func TestReplay_needs_a_history(t *testing.T) {
	t.Parallel()
	if got := failures(t, pgstoretest.New(t), sums(add)); !strings.Contains(got, "leave no row") {
		t.Error(got)
	}
}
