package projections_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

func TestDDL_that_a_read_model_cannot_keep_is_refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	table := balances().Table
	for text, ddl := range map[string]string{
		"the extension citext":       `create extension citext; ` + table,
		"the materialized view rich": table + `; create materialized view rich as select * from balances`,
		"unlogged":                   `create unlogged ` + table[len("create "):],
	} {
		def := balances()
		def.Table = ddl
		p := projections.New(w.store, def)
		err := p.Rebuild(t.Context())
		if !errors.Is(err, projections.ErrInvalid) || !contains(err, text) {
			t.Errorf("%s: %v", text, err)
		}
		asOf := p.AsOf(t.Context(), es.AtPosition(1), nil)
		if text != "unlogged" && !errors.Is(asOf, projections.ErrInvalid) {
			t.Errorf("%s, as of: %v", text, asOf)
		}
	}
	if n := w.number(`select (select count(*) from asof.builds) + (select count(*) from pg_namespace where nspname like 'balances%') + (select count(*) from pg_extension where extname = 'citext')`); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

// The role's statement_timeout is for its queries: building takes as long as it takes.
func TestStatement_timeout_of_the_role_does_not_end_a_rebuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	last := w.append("a-1", Opened{Owner: "ann"})
	w.exec(`do $$ begin execute format('alter database %I set statement_timeout = ''200ms''', current_database()); end $$`)
	store := w.otherPool(nil)
	p := projections.New(store, projections.Statements[Event]{
		Name: "slow", Version: 1, Codec: codec(), Tables: `create table slow (n int); select pg_sleep(0.5)`,
		Apply: func(b *pgx.Batch, _ Event, _ es.Recorded) {
			b.Queue(`insert into slow select 1 from pg_sleep(0.5)`)
		},
	})
	if err := p.Rebuild(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	start(t, p)
	w.wait(p, w.append("a-1", Deposited{Cents: 1}))
	if n := w.number(`select count(*) from slow.slow`); n != 2 || last != 1 {
		t.Errorf("%d rows", n)
	}
}
