package projections_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/projections"
)

// What a role lacks is not tried for ever: it ends the projector with what to grant.
func TestProjector_that_may_make_no_schema_names_the_grant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.append("a-1", Deposited{1})
	role := fmt.Sprintf("maker_%d", w.number(`select oid::bigint from pg_database where datname = current_database()`))
	w.exec(`create role ` + role + ` login password 'x'; grant usage on schema asof to ` + role + `;
		grant select, insert, update, delete on all tables in schema asof to ` + role + `; grant usage on all sequences in schema asof to ` + role)
	store := w.storeWith(func(c *pgxpool.Config) { c.ConnConfig.User, c.ConnConfig.Password = role, "x" })
	grant := "grant create on database " + store.Pool().Config().ConnConfig.Database + " to " + role
	p := projections.New(store, balances())
	for what, f := range map[string]func() error{
		"Run":     func() error { return p.Run(within(t, patient)) },
		"Rebuild": func() error { return p.Rebuild(t.Context()) },
		"AsOf": func() error {
			return p.AsOf(t.Context(), es.AtPosition(1), func(context.Context, pgx.Tx) error { return nil })
		},
	} {
		if err := f(); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, ""), grant) {
			t.Errorf("%s: %v lacks %q", what, err, grant)
		}
	}
	w.exec(grant)
	if err := p.Rebuild(t.Context()); err != nil {
		t.Error(err)
	}
	w.exec(`drop schema if exists balances cascade`)
	if _, err := w.pool.Exec(context.WithoutCancel(t.Context()), `drop owned by `+role+`; drop role `+role); err != nil {
		t.Error(err)
	}
}
