package migrations_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

// A question writes nothing, and neither does taking back what was never there.
func TestStatus_writes_nothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	role, own := login(t, pool, "")
	exec(t, pool, `revoke temporary, create on database `+pool.Config().ConnConfig.Database+` from public`)
	exec(t, pool, `alter role `+role+` set default_transaction_read_only = on`)
	set := migrations.Framework("asof")
	count := func() string {
		return text(t, pool, `select (select count(*) from pg_class) || ' ' || (select count(*) from pg_namespace) || ' ' || (select count(*) from pg_proc)`)
	}
	empty := count()
	for _, asker := range []*pgxpool.Pool{pool, own} {
		if done, open := applied(t, asker, set); len(done) != 0 || len(open) < 4 || open[0] != "0001_events.sql" {
			t.Errorf("before Up %v are applied, %v are not", done, open)
		}
		must(t, migrations.Down(ctx, asker, set, 0))
	}
	exec(t, pool, `create schema asof`)
	if done, _ := applied(t, pool, set); len(done) != 0 {
		t.Errorf("in an empty schema %v are applied", done)
	}
	must(t, migrations.Down(ctx, pool, set, 0))
	exec(t, pool, `drop schema asof`)
	if now := count(); now != empty {
		t.Errorf("the database had %s relations, schemas and functions, and now %s", empty, now)
	}
	must(t, migrations.Up(ctx, pool, set))
	_, err := migrations.Status(ctx, own, set)
	says(t, err, `grant usage on schema "asof"`, `grant select on "asof"."goose_db_version"`)
	exec(t, pool, `grant usage on schema asof to `+role+`; grant select on asof.goose_db_version to `+role)
	if done, open := applied(t, own, set); len(done) < 4 || len(open) != 0 {
		t.Errorf("to a reader %v are applied, %v are not", done, open)
	}
	must(t, migrations.Up(ctx, own, set)) // nothing to do
}

// It answers while a file is at work, with what is applied by then.
func TestStatus_waits_for_nobody(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	for _, how := range []string{"", "-- +goose NO TRANSACTION\n"} {
		exec(t, pool, `drop schema if exists service cascade`)
		set := raw(map[string]string{"0001_notes.sql": up("create table notes (n int)"), "0002_slow.sql": how + up(gate)})
		open := shut(t, pool)
		answer := ups(t, pool, 1, set)
		until(t, pool, "a file is at the gate", `select exists (select from pg_locks where locktype = 'advisory' and objid = 77 and not granted and database = (select oid from pg_database where datname = current_database()))`)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		files, err := migrations.Status(ctx, pool, set)
		cancel()
		if err != nil || files[0].AppliedAt.IsZero() || !files[1].AppliedAt.IsZero() {
			t.Errorf("while a file is at work: %+v, %v", files, err)
		}
		open()
		must(t, <-answer)
	}
}

// Times are UTC, whatever zone the server is set to.
func TestStatus_tells_when_a_file_was_applied(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	configure(t, pool, "TimeZone", "Asia/Tokyo")
	set := raw(map[string]string{"0001_a.sql": up("select 1"), "0002_b.sql": outside + "select 1;\n"})
	begin := time.Now()
	must(t, migrations.Up(t.Context(), another(t, pool, nil), set))
	files, err := migrations.Status(t.Context(), another(t, pool, nil), set)
	must(t, err)
	if slices.ContainsFunc(files, func(f migrations.File) bool { return f.AppliedAt.Sub(begin).Abs() > time.Minute }) {
		t.Errorf("applied at %v, it is %s", files, begin)
	}
}
