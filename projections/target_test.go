package projections_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

// apart is a log in one database and its read models in another.
type apart struct {
	*world        // of the read models: its own log is empty
	source *world // of the log
	target projections.Target
}

func newApart(t testing.TB, source *pgstore.Store) *apart {
	t.Helper()
	a := &apart{world: newWorld(t), source: newWorldOn(t, source)}
	a.target = projections.In(a.pool, "asof")
	return a
}

func (a *apart) projector(def projections.Definition, options ...projections.Option) *projections.Projector {
	return projections.New(a.target, def, append([]projections.Option{projections.FromLog(a.source.store)}, options...)...)
}

// wantTotals compares the read model with the log.
func (a *apart) wantTotals() {
	a.Helper()
	same(a, a.source.foldTotals(a.source.history()), tableOf(a.world, "totals.totals", byBucket))
}

func TestRead_model_stands_in_another_database_than_the_log(t *testing.T) {
	t.Parallel()
	a := newApart(t, pgstoretest.New(t))
	for i := range 5 {
		a.source.append(name(i), Opened{Owner: "ann"}, Deposited{Cents: int64(i)})
	}
	p := a.projector(totals(), projections.WithBatch(3))
	stop := start(t, p)
	middle := a.source.append("a-1", Deposited{Cents: 10})
	a.wait(p, middle)
	a.wantTotals()
	last := a.source.append("a-2", Withdrawn{Cents: 1}, Deposited{Cents: 2})
	a.wait(p, last)
	a.wantTotals()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	a.source.append("a-3", Deposited{Cents: 5})
	s, err := p.Status(t.Context())
	if err != nil || s.Position != last || s.Lag != 1 || s.Source != "log" {
		t.Errorf("%+v, %v", s, err)
	}
	if list, err := projections.List(t.Context(), a.target); err != nil || len(list) != 1 || list[0].Lag != -1 {
		t.Errorf("%+v, %v", list, err)
	}
	var compared bool
	err = p.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) {
		if p.Phase == "live" {
			compared = p.Compared && p.Differing == 0
		}
	}))
	if err != nil || !compared {
		t.Fatalf("%v, compared %v", err, compared)
	}
	a.wantTotals()
	then := prefix(a.source.history(), es.AtPosition(middle))
	err = p.AsOf(t.Context(), es.AtPosition(middle), func(_ context.Context, tx pgx.Tx) error {
		same(t, a.source.foldTotals(then), readTable(t, tx, "totals", byBucket))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := a.number(`select count(*) from asof.events`); n != 0 {
		t.Errorf("%d events in the database of the read models", n)
	}
}

// The log and the read models share a pool: one connection is enough for each call.
func TestAsOf_takes_one_connection_where_the_pool_is_that_of_the_log(t *testing.T) {
	t.Parallel()
	store := pgstoretest.New(t, pgstoretest.MaxConns(1))
	w := newWorldOn(t, store)
	w.append("a-1", Opened{Owner: "ann"})
	p := projections.New(projections.In(store.Pool(), "asof"), totals(), projections.FromLog(store))
	if err := p.AsOf(within(t, 20*time.Second), es.AtPosition(1), func(context.Context, pgx.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// The database of the read models is put back, and the log is not: it follows again.
func TestTarget_that_is_put_back_goes_on_from_where_it_is(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	a := &apart{world: newWorldOn(t, pgstoretest.Open(t, server.URL())), source: newWorld(t)}
	a.target = projections.In(a.pool, "asof")
	p := a.projector(totals())
	start(t, p)
	a.wait(p, a.source.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}))
	backup := server.Backup()
	a.wait(p, a.source.append("a-1", Deposited{Cents: 2}))
	server.Restore(backup)
	last := a.source.append("a-1", Deposited{Cents: 3})
	until(t, "it goes on", func() bool { return p.WaitFor(within(t, time.Second), last) == nil })
	a.wantTotals()
}

// The log is put back, and the read models are not: they have events that are lost.
func TestLog_that_is_put_back_is_noticed_from_another_database(t *testing.T) {
	t.Parallel()
	server := embeddedtest.Server(t)
	a := newApart(t, pgstoretest.Open(t, server.URL()))
	p := a.projector(totals())
	stop := start(t, p)
	a.wait(p, a.source.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 1}))
	backup := server.Backup()
	a.wait(p, a.source.append("a-1", Deposited{Cents: 2}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	server.Restore(backup)
	fresh := func() *projections.Projector {
		store := pgstore.New(server.Pool())
		a.source = newWorldOn(t, store)
		return a.projector(totals())
	}
	if err := fresh().Run(within(t, 20*time.Second)); !errors.Is(err, es.ErrRestored) {
		t.Fatalf("before repair: %v", err)
	}
	if err := fresh().Rebuild(t.Context()); !errors.Is(err, es.ErrRestored) {
		t.Fatalf("rebuild before repair: %v", err)
	}
	if _, err := a.source.store.Repair(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	p = fresh()
	last := a.source.append("a-1", Deposited{Cents: 4}, Deposited{Cents: 5})
	if err := p.Run(within(t, 20*time.Second)); !errors.Is(err, es.ErrAnotherLife) || !contains(err, "rebuild") {
		t.Fatalf("in the new life: %v", err)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.wantTotals()
	start(t, p)
	a.wait(p, last)
	a.wait(p, a.source.append("a-1", Deposited{Cents: 6}))
	a.wantTotals()
}

func TestProjector_needs_a_database_and_a_log(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var none *pgstore.Store
	for text, p := range map[string]*projections.Projector{
		"give New a store or a database": projections.New(none, totals()),
		"whose log it follows (FromLog)": projections.New(projections.In(w.pool, "asof"), totals()),
		"database to write to":           projections.New(nil, totals(), projections.FromLog(w.store)),
	} {
		if err := p.Run(within(t, 20*time.Second)); !errors.Is(err, projections.ErrInvalid) || !contains(err, text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
