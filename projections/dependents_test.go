package projections_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/asof-dev/asof/projections"
)

// withFunction is a read model whose DDL makes one of everything that others can use.
func withFunction() projections.Fold[Balance, Event] {
	def := balances()
	def.Table = `
		create type mood as enum ('sad', 'glad');
		create domain whole as bigint check (value >= 0);
		create sequence numbers;
		create function twice(n bigint) returns bigint language sql immutable as 'select 2 * n';
		create table balances (account text primary key, owner text not null, cents bigint not null, updated_at timestamptz not null,
			double bigint generated always as (cents * 2) stored, note text not null default 'x', check (cents > -1000000));
		create index on balances (owner);
		create view rich as select * from balances where cents > 0;
		alter table balances enable row level security;
		create policy everybody on balances using (true)`
	return def
}

func TestDependents_of_every_kind_are_named_before_anything_is_done(t *testing.T) {
	t.Parallel()
	for text, make := range map[string]string{
		"view elsewhere.v":              `create view elsewhere.v as select * from balances.balances`,
		"materialized view elsewhere.m": `create materialized view elsewhere.m as select * from balances.rich`,
		"default value for column n":    `create table elsewhere.t (n bigint default balances.twice(2))`,
		"default value for column s of": `create table elsewhere.t (s bigint default nextval('balances.numbers'))`,
		"column m of table elsewhere.t": `create table elsewhere.t (m balances.mood)`,
		"column d of table elsewhere.t": `create table elsewhere.t (d balances.whole)`,
		"column b of table elsewhere.t": `create table elsewhere.t (b balances.balances)`,
		"column g of table elsewhere.t": `create table elsewhere.t (n bigint, g bigint generated always as (balances.twice(n)) stored)`,
		"index elsewhere.i":             `create table elsewhere.t (n bigint); create index i on elsewhere.t (balances.twice(n))`,
		"constraint few on table":       `create table elsewhere.t (n bigint constraint few check (balances.twice(n) < 10))`,
		"constraint t_a_fkey on table":  `create table elsewhere.t (a text references balances.balances)`,
		"policy p on table elsewhere.t": `create table elsewhere.t (n bigint); create policy p on elsewhere.t using (balances.twice(n) > 0)`,
		"rule r on table elsewhere.t":   `create table elsewhere.t (n bigint); create rule r as on delete to elsewhere.t do also select balances.twice(1)`,
		"type elsewhere.bold":           `create domain elsewhere.bold as balances.mood`,
		"type elsewhere.pair":           `create type elsewhere.pair as (m balances.mood)`,
		"function elsewhere.f()":        `create function elsewhere.f() returns bigint begin atomic select balances.twice(1); end`,
		"function elsewhere.g(":         `create function elsewhere.g(balances.mood) returns bigint language sql as 'select 1::bigint'`,
		"publication news":              `create publication news for table balances.balances`,
		"publication all_of_it":         `create publication all_of_it for tables in schema balances`,
		"statistics object elsewhere.o": `create statistics elsewhere.o on account, owner from balances.balances`,
		"table elsewhere.child":         `create table elsewhere.child () inherits (balances.balances)`,
		"cast from balances.mood":       `create cast (balances.mood as bigint) with function elsewhere.h(balances.mood)`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
			p := projections.New(w.store, withFunction())
			for range 2 { // with a build that is kept
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.exec(`create schema elsewhere`)
			if strings.HasPrefix(text, "cast") {
				w.exec(`create function elsewhere.h(balances.mood) returns bigint language sql as 'select 1::bigint'`)
			}
			w.exec(make)
			builds := w.number(`select count(*) + max(id) from asof.builds`)
			err := p.Rebuild(t.Context())
			if !errors.Is(err, projections.ErrDependents) || !contains(err, text) {
				t.Errorf("%v", err)
			}
			if now := w.number(`select count(*) + max(id) from asof.builds`); now != builds {
				t.Error("something was begun")
			}
		})
	}
}

// What the DDL makes itself, and what belongs to it, hinders nothing.
func TestDependents_are_none_of_what_the_DDL_makes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := projections.New(w.store, withFunction())
	for range 4 {
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.number(`select count(*) from pg_namespace where nspname like 'balances%'`); n != 2 {
		t.Errorf("%d schemas", n)
	}
}

// Somebody uses the tables of the build that is kept: it stays when it would be dropped.
func TestKept_build_that_others_use_is_not_dropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := projections.New(w.store, withFunction())
	for range 2 {
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.exec(`create table precious (n bigint default balances_v1_b1.twice(2), kept text)`)
	w.exec(`insert into precious (kept) values ('mine')`)
	for range 2 {
		if err := p.Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.number(`select n from precious where kept = 'mine'`); n != 4 {
		t.Errorf("the default is gone: %d", n)
	}
	w.exec(`insert into precious (kept) values ('again')`)
	if n := w.number(`select n from precious where kept = 'again'`); n != 4 {
		t.Errorf("%d", n)
	}
	w.exec(`drop table precious`)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from pg_namespace where nspname like 'balances%'`); n != 2 {
		t.Errorf("%d schemas", n)
	}
}
