package projections_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/es/pgstore/pgstoretest"
	"github.com/asof-dev/asof/projections"
)

func TestWhat_was_made_on_the_live_tables_is_named_before_a_rebuild(t *testing.T) {
	t.Parallel()
	for text, make := range map[string]string{
		"policy own on table balances":              `create policy own on balances.balances using (owner = current_user)`,
		"row level security, forced, on table":      `alter table balances.balances force row level security`,
		"trigger g on table balances":               `create function public.nothing() returns trigger language plpgsql as 'begin return new; end'; create trigger g before insert on balances.balances for each row execute function public.nothing()`,
		"index extra":                               `create index extra on balances.balances (cents)`,
		"constraint few on table balances":          `alter table balances.balances add constraint few check (cents < 1000000000)`,
		"rule r on table balances":                  `create rule r as on insert to balances.balances do also select 1`,
		"statistics s":                              `create statistics balances.s on owner, account from balances.balances`,
		"statistics target of column owner":         `alter table balances.balances alter owner set statistics 500`,
		"replica identity of table balances":        `alter table balances.balances replica identity full`,
		"clustering of table balances":              `alter table balances.balances cluster on balances_pkey`,
		"options of balances: fillfactor=50":        `alter table balances.balances set (fillfactor = 50)`,
		"comment on table balances: mine":           `comment on table balances.balances is 'mine'`,
		"comment on column owner of table":          `comment on column balances.balances.owner is 'mine'`,
		"comment on the schema: mine":               `comment on schema balances is 'mine'`,
		"privileges of function twice":              `revoke execute on function balances.twice from public`,
		"privileges of type mood":                   `revoke usage on type balances.mood from public`,
		"default privileges":                        `alter default privileges in schema balances grant select on tables to public`,
		"view mine":                                 `create view balances.mine as select 1`,
		"table mine":                                `create table balances.mine (n int)`,
		"function mine()":                           `create function balances.mine() returns int language sql as 'select 1'`,
		"column extra of table balances":            `alter table balances.balances add extra int`,
		"default of column owner of table balances": `alter table balances.balances alter owner set default 'x'`,
		"sequence mine":                             `create sequence balances.mine`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
			p := projections.New(w.store, withFunction())
			if err := p.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.exec(make)
			err := p.Rebuild(t.Context())
			if !errors.Is(err, projections.ErrByHand) || !contains(err, text) {
				t.Errorf("%v", err)
			}
			if n := w.number(`select count(*) from asof.builds`); n != 1 {
				t.Errorf("%d builds: something was begun", n)
			}
		})
	}
}

// It comes while the rebuild runs, and is seen when the tables are switched.
func TestWhat_was_made_on_the_live_tables_meanwhile_is_named_at_the_switch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"}, Deposited{Cents: 5})
	p := projections.New(w.store, withFunction())
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := p.Rebuild(t.Context(), projections.WithProgress(func(p projections.Progress) {
		if p.Phase == "verifying" {
			w.exec(`create policy own on balances.balances using (owner = current_user)`)
		}
	}))
	if !errors.Is(err, projections.ErrByHand) || !contains(err, "policy own") {
		t.Errorf("%v", err)
	}
	if n := w.number(`select count(*) from pg_policy where polrelid = 'balances.balances'::regclass`); n != 2 {
		t.Errorf("%d policies are on the live table", n)
	}
	w.exec(`drop policy own on balances.balances`)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A read model goes along to a newer server, which notes more of the same tables.
func TestWhat_the_DDL_makes_is_the_same_on_every_server(t *testing.T) {
	t.Parallel()
	made := map[int64]string{}
	for _, options := range [][]embeddedtest.ServerOption{nil, {embeddedtest.Major(15)}} {
		w := newWorldOn(t, pgstoretest.Open(t, embeddedtest.Server(t, options...).URL()))
		if err := projections.New(w.store, withFunction()).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		var list string
		if err := w.pool.QueryRow(t.Context(), `select array_to_string(made, e'\n') from asof.builds`).Scan(&list); err != nil {
			t.Fatal(err)
		}
		made[w.number(`select current_setting('server_version_num')::int / 10000`)] = list
	}
	if diff := cmp.Diff(made[15], made[18]); diff != "" || len(made) != 2 {
		t.Errorf("(-15 +18)\n%s", diff)
	}
}
