package projections_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es/pgstore"
	"github.com/asof-dev/asof/projections"
)

// newRole makes a role that ends with the test.
func (w *world) newRole(name string) string {
	w.Helper()
	role := fmt.Sprintf("%s_%d", name, time.Now().UnixNano())
	w.exec(`create role ` + role)
	w.Cleanup(func() {
		if _, err := w.pool.Exec(context.Background(), `reassign owned by `+role+` to current_user; drop owned by `+role+`; drop role `+role); err != nil {
			w.Error(err)
		}
	})
	return role
}

// as is the store as a program of a role has it.
func (w *world) as(role string) *pgstore.Store {
	w.Helper()
	return w.storeWith(func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["role"] = role })
}

// may reports whether a role may read the balances.
func (w *world) may(role, what string) bool {
	return w.number(`select (has_schema_privilege($1, 'balances', 'usage') and has_table_privilege($1, 'balances.balances', $2))::int`, role, what) == 1
}

// Who may not read the live tables any more may not read those that take their place: of a
// kept build to which a rollback goes back, and of one to which the server gives privileges by
// default.
func TestRevoked_privileges_do_not_come_back(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	reader := w.newRole("reader")
	w.exec(`alter default privileges grant select on tables to ` + reader)
	v1, v2 := balances(), balances()
	v2.Version = 2
	for _, def := range []projections.Fold[Balance, Event]{v1, v2} {
		if err := projections.New(w.store, def).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.exec(`grant usage on schema balances to ` + reader)
	if !w.may(reader, "select") {
		t.Fatal("the reader may not read from the beginning")
	}
	w.exec(`revoke select on balances.balances from ` + reader)
	if err := projections.New(w.store, v2).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.may(reader, "select") {
		t.Error("after a rebuild the reader may read again")
	}
	w.exec(`grant select on balances.balances to ` + reader)
	if err := projections.New(w.store, v1).Rebuild(t.Context()); err == nil {
		t.Fatal("an older version was built over a newer one")
	}
	v3 := balances()
	v3.Version = 3
	if err := projections.New(w.store, v3).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.exec(`revoke select on balances.balances from ` + reader)
	if err := projections.New(w.store, v2).Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.may(reader, "select") {
		t.Error("after a rollback the reader may read again")
	}
}

// When a program of another role rebuilds, the tables are that role's; who owned them may do
// with their rows what it could.
func TestRebuild_by_another_role_leaves_the_former_owner_its_rights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Opened{Owner: "ann"})
	former, other := w.newRole("former"), w.newRole("other")
	for _, role := range []string{former, other} {
		w.exec(`grant usage on schema asof to ` + role + `; grant select, insert, update, delete on all tables in schema asof to ` + role + `; grant usage, update on all sequences in schema asof to ` + role)
		w.exec(`do $$ begin execute format('grant create on database %I to ` + role + `', current_database()); end $$`)
	}
	w.exec(`grant ` + former + ` to ` + other)
	if err := projections.New(w.as(former), balances()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := projections.New(w.as(other), balances()).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if owner := w.number(`select count(*) from pg_tables where schemaname = 'balances' and tableowner = $1`, other); owner != 1 {
		t.Fatal("the tables are not the other role's: the test shows nothing")
	}
	for _, what := range []string{"select", "insert", "update", "delete"} {
		if !w.may(former, what) {
			t.Errorf("the former owner may not %s any more", what)
		}
	}
}
