package projections_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// builds are those of some projections, or of all.
func (w *world) builds(names ...string) []projections.Build {
	w.Helper()
	list, err := projections.Builds(w.Context(), w.store, names...)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

// stopped runs a rebuild that is stopped when all is read: what it has built stays.
func (w *world) stopped(def projections.Definition) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	err := projections.New(w.store, def).Rebuild(ctx, projections.WithProgress(func(p projections.Progress) {
		if p.Phase == "verifying" {
			cancel()
		}
	}))
	if !errors.Is(err, context.Canceled) {
		w.Fatalf("the rebuild was not stopped: %v", err)
	}
}

// rebuilt makes builds of balances, of which the last is live and the one before is kept.
func (w *world) rebuilt(times int) *projections.Projector {
	w.Helper()
	p := projections.New(w.store, balances())
	for range times {
		if err := p.Rebuild(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	return p
}

func TestBuilds_shows_what_stands_in_each(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.append(name(i), Opened{Owner: "ann"})
	}
	began := time.Now()
	p := w.rebuilt(2)
	stop := start(t, p)
	w.wait(p, w.append(name(3), Opened{Owner: "bob"}))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.stopped(projections.Statements[Event]{
		Name: "balances", Version: 2, Codec: codec(), Apply: func(*pgx.Batch, Event, es.Recorded) {},
		Tables: "create table more (n bigint); create table extra (n bigint primary key); create view rich as select * from more",
	})
	if err := projections.New(w.store, totals()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}

	list := w.builds("balances")
	var got []string
	for _, b := range list {
		got = append(got, fmt.Sprintf("%s, %s, from the %s up to %d, active %t", b, b.Schema, b.Kind, b.Position, b.Active))
		for _, table := range b.Tables {
			got = append(got, fmt.Sprintf("%s %d %t", table.Name, table.Rows, table.Estimated))
			if size := w.number(`select pg_total_relation_size($1::text::regclass)`, b.Schema+"."+table.Name); table.Bytes != size {
				t.Errorf("%s.%s has %d bytes, and %d are shown", b.Schema, table.Name, size, table.Bytes)
			}
		}
		if b.Made.Before(began.Add(-time.Minute)) || b.Changed.Before(b.Made) || b.Gone {
			t.Errorf("%+v", b)
		}
	}
	want := []string{
		"build 2 of balances (version 1, live), balances, from the log up to 4, active false", "balances 4 false",
		"build 3 of balances (version 2, building), balances_v2_b3, from the log up to 4, active false", "extra 0 false", "more 0 false",
		"build 1 of balances (version 1, kept), balances_v1_b1, from the log up to 3, active false", "balances 3 false",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if all := w.builds(); len(all) != 4 || all[3].Projection != "totals" {
		t.Errorf("%v", all)
	}
	if none := w.builds("nope"); len(none) != 0 {
		t.Errorf("%v", none)
	}
}

// What is too large to be counted at once is estimated, once the database has an estimate.
func TestBuilds_estimates_a_large_table(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rebuilt(1)
	w.exec(`alter table balances.balances set (autovacuum_enabled = off)`)
	w.exec(`insert into balances.balances (account, owner, cents, updated_at) select n, repeat('x', 1000), 0, now() from generate_series(1, 20000) n`)
	if table := w.builds()[0].Tables[0]; table.Rows != -1 || !table.Estimated || table.Bytes < 20_000_000 {
		t.Errorf("%+v", table)
	}
	w.exec(`analyze balances.balances`)
	if table := w.builds()[0].Tables[0]; table.Rows < 19_000 || table.Rows > 21_000 || !table.Estimated {
		t.Errorf("%+v", table)
	}
}

// Whoever may not read a table, or not all of its rows, sees its size and no wrong number.
func TestBuilds_counts_no_rows_that_the_role_does_not_see(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	w.rebuilt(1)
	role := "viewer_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	w.exec(`create role ` + role + ` login`)
	t.Cleanup(func() {
		for _, sql := range []string{`drop owned by ` + role, `drop role ` + role} {
			if _, err := w.pool.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	w.exec(`grant usage on schema asof to ` + role)
	w.exec(`grant select on all tables in schema asof to ` + role)
	see := func() projections.BuildTable {
		t.Helper()
		config := w.pool.Config()
		config.ConnConfig.RuntimeParams["role"] = role
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		list, err := projections.Builds(t.Context(), projections.In(pool, "asof"))
		if err != nil || len(list) != 1 || len(list[0].Tables) != 1 || list[0].Tables[0].Bytes == 0 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Tables[0]
	}
	if table := see(); !table.Estimated {
		t.Errorf("without a right: %+v", table)
	}
	w.exec(`grant usage on schema balances to ` + role)
	w.exec(`grant select on balances.balances to ` + role)
	if table := see(); table.Rows != 1 || table.Estimated {
		t.Errorf("with the right: %+v", table)
	}
	w.exec(`alter table balances.balances enable row level security`)
	if table := see(); !table.Estimated {
		t.Errorf("behind a policy: %+v", table)
	}
}

// meanwhile does something once, before a statement is sent.
type meanwhile struct {
	at   string
	once sync.Once
	do   func()
}

func (m *meanwhile) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, m.at) {
		m.once.Do(m.do)
	}
	return ctx
}

func (*meanwhile) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Tables that take each other's names, or go, while they are counted are not mixed up.
func TestBuilds_that_are_switched_meanwhile_are_read_again(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	p := w.rebuilt(1)
	list, err := projections.Builds(t.Context(), w.otherPool(&meanwhile{at: "select count(*) from", do: func() {
		w.exec(`delete from balances.balances`) // the old tables have another number of rows
		w.rebuilt(1)
	}}))
	if err != nil || len(list) != 2 || list[0].ID != 2 || list[0].Tables[0].Rows != 1 || list[1].ID != 1 || list[1].Tables[0].Rows != 0 {
		t.Errorf("switched: %+v, %v", list, err)
	}
	list, err = projections.Builds(t.Context(), w.otherPool(&meanwhile{at: `select count(*) from "balances_v1_b1"`, do: func() {
		if err := p.Rebuild(t.Context()); err != nil {
			t.Error(err)
		}
	}}))
	if err != nil || len(list) != 2 || list[0].ID != 3 || list[1].ID != 2 {
		t.Errorf("dropped: %+v, %v", list, err)
	}
}

// A schema that somebody has dropped by hand is no reason to fail.
func TestBuilds_shows_a_schema_that_is_gone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rebuilt(2)
	w.exec(`drop schema balances_v1_b1 cascade`)
	if list := w.builds(); len(list) != 2 || list[0].Gone || !list[1].Gone || len(list[1].Tables) != 0 {
		t.Errorf("%+v", list)
	}
}
