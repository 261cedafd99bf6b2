package migrations_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

// gooseOn is goose as its command works on a schema.
func gooseOn(t *testing.T, pool *pgxpool.Pool, set migrations.Set) *goose.Provider {
	t.Helper()
	config := pool.Config().ConnConfig
	config.RuntimeParams["search_path"] = set.Schema
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { db.Close() })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, set.Files, goose.WithDisableGlobalRegistry(true))
	must(t, err)
	return provider
}

// Goose's own command goes on where Up stopped, and Up where goose did.
func TestUp_and_the_goose_command_take_turns(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	files := map[string]string{}
	for number, table := range map[int]string{1: "notes", 2: "more", 3: "most"} {
		files[fmt.Sprintf("%04d_%s.sql", number, table)] = up("create table "+table+" (n int)") + "-- +goose Down\ndrop table " + table + ";\n"
	}
	set := raw(files)
	exec(t, pool, `create schema service`)
	g := gooseOn(t, pool, set)
	_, err := g.UpTo(ctx, 1) // makes the table of versions
	must(t, err)
	if done, open := applied(t, pool, set); !cmp.Equal(done, []string{"0001_notes.sql"}) || len(open) != 2 {
		t.Errorf("after goose %v are applied, %v are not", done, open)
	}
	must(t, migrations.Up(ctx, pool, set))
	if pending, err := g.HasPending(ctx); err != nil || pending {
		t.Errorf("goose sees pending: %t, %v", pending, err)
	}
	states, err := g.Status(ctx)
	must(t, err)
	for _, s := range states {
		if s.State != goose.StateApplied {
			t.Errorf("goose sees %s %s", s.Source.Path, s.State)
		}
	}
	_, err = g.DownTo(ctx, 2)
	must(t, err)
	_, err = g.Up(ctx)
	must(t, err)
	must(t, migrations.Up(ctx, pool, set))
	// What goose applied is known by name from now on.
	if got := texts(t, pool, `select name from service.goose_db_version where version_id > 0 order by version_id`); !cmp.Equal(got, []string{"0001_notes.sql", "0002_more.sql", "0003_most.sql"}) {
		t.Errorf("the names are %v", got)
	}
	says(t, migrations.Up(ctx, pool, service(map[string]string{"0001_other.sql": "create table other (n int)"})), "0001_notes.sql", "0001_other.sql")
	must(t, migrations.Down(ctx, pool, set, 0))
	if version, err := g.GetDBVersion(ctx); err != nil || version != 0 {
		t.Errorf("goose sees version %d, %v", version, err)
	}
}

// Who may not write to the table of versions can start all the same when nothing is
// to be done.
func TestUp_needs_no_right_when_there_is_nothing_to_do(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	set := raw(map[string]string{"0001_notes.sql": up("create table notes (n int)")})
	exec(t, pool, `create schema service`)
	_, err := gooseOn(t, pool, set).Up(ctx)
	must(t, err)
	role, own := login(t, pool, "")
	exec(t, pool, `grant usage on schema service to `+role+`; grant select on service.goose_db_version to `+role)
	must(t, migrations.Up(ctx, own, set))
	must(t, migrations.Up(ctx, pool, set)) // gives it its name
	must(t, migrations.Up(ctx, own, set))
	more := raw(map[string]string{"0001_notes.sql": up("create table notes (n int)"), "0002_more.sql": up("create table more (n int)")})
	says(t, migrations.Up(ctx, own, more), "0002_more.sql", "permission denied")
}
