package migrations_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

// service is a set of a service's own, with the given files.
func service(files map[string]string) migrations.Set {
	content := fstest.MapFS{}
	for name, up := range files {
		content["sql/"+name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + up + ";\n-- +goose Down\ndrop table if exists notes;\n")}
	}
	return migrations.Set{Schema: "service", Files: content, Dir: "sql"}
}

// tables lists the tables of a schema, without goose's own.
func tables(t *testing.T, pool *pgxpool.Pool, schema string) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select tablename::text from pg_tables where schemaname = $1 and tablename <> 'goose_db_version' order by 1`, schema)
	must(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return names
}

// applied lists the files of a set: those that are applied, and those that are not.
func applied(t *testing.T, pool *pgxpool.Pool, set migrations.Set) (done, open []string) {
	t.Helper()
	files, err := migrations.Status(t.Context(), pool, set)
	must(t, err)
	if !slices.IsSortedFunc(files, func(a, b migrations.File) int { return int(a.Version - b.Version) }) {
		t.Errorf("status is not in order: %v", files)
	}
	for _, f := range files {
		if f.AppliedAt.IsZero() {
			open = append(open, f.Name)
		} else {
			done = append(done, f.Name)
		}
	}
	return done, open
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	set := migrations.Framework("asof")
	done, all := applied(t, pool, set)
	if len(done) != 0 || len(all) < 4 || !strings.HasPrefix(all[0], "0001_") {
		t.Fatalf("before Up %v are applied, %v are not", done, all)
	}
	must(t, migrations.Up(ctx, pool)) // the framework's, by default
	must(t, migrations.Up(ctx, pool)) // nothing to do
	first := tables(t, pool, "asof")
	if !slices.Contains(first, "events") || !slices.Contains(first, "projection_builds") {
		t.Errorf("Up made the tables %v", first)
	}
	if done, open := applied(t, pool, set); !cmp.Equal(all, done) || len(open) != 0 {
		t.Errorf("after Up %v are applied, %v are not", done, open)
	}
	_, err := pool.Exec(ctx, `insert into asof.events (position, category, stream_id, version, event_id, type, schema_version, data, metadata, recorded_at)
		values (1, 'a', '1', 1, gen_random_uuid(), 't', 1, '{}', '', now())`)
	must(t, err)
	// One by one, as far as a file's number says, and with its data.
	for v := range slices.Backward(all) {
		must(t, migrations.Down(ctx, pool, set, int64(v)))
		if done, _ := applied(t, pool, set); !cmp.Equal(append([]string(nil), all[:v]...), done) {
			t.Errorf("after Down to %d %v are applied", v, done)
		}
	}
	if left := tables(t, pool, "asof"); len(left) != 0 {
		t.Errorf("Down to 0 left the tables %v", left)
	}
	must(t, migrations.Up(ctx, pool, set))
	if again := tables(t, pool, "asof"); !cmp.Equal(first, again) {
		t.Errorf("Up after Down made the tables %v, before %v", again, first)
	}
	must(t, migrations.Down(ctx, pool, set, 0))
	must(t, migrations.Down(ctx, pool, set, 0)) // nothing to do
}

// Several processes start at once on an empty database: one works, all go on.
func TestUpConcurrently(t *testing.T) {
	t.Parallel()
	address := embeddedtest.Database(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			pool, err := pgxpool.New(ctx, address)
			if err != nil {
				t.Error(err)
				return
			}
			defer pool.Close()
			if err := migrations.Up(ctx, pool, migrations.Framework("asof"), service(map[string]string{"0001_notes.sql": "create table notes (n int)"})); err != nil {
				t.Error(err)
			}
			var ready bool
			if err := pool.QueryRow(ctx, `select to_regclass('asof.inbox') is not null and to_regclass('service.notes') is not null`).Scan(&ready); err != nil || !ready {
				t.Errorf("Up returned before the tables were there: %v", err)
			}
		})
	}
	wg.Wait()
	t.Logf("eight took %s", time.Since(begin))
}

// A failed file names itself, leaves the earlier ones, and nothing of its own.
func TestFailedMigration(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	files := map[string]string{
		"0001_notes.sql": "create table notes (n int)",
		"0002_bad.sql":   "create table half (n int); insert into missing values (1)",
		"0003_never.sql": "create table never (n int)",
	}
	err := migrations.Up(ctx, pool, migrations.Framework("asof"), service(files))
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"migrations: up service", "0002_bad.sql", `"missing" does not exist`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Count(err.Error(), "migrations: ") != 1 {
		t.Errorf("%q names the package more than once", err)
	}
	if got := tables(t, pool, "service"); !cmp.Equal(got, []string{"notes"}) {
		t.Errorf("the schema has the tables %v, want just those of the first file", got)
	}
	if done, open := applied(t, pool, service(files)); len(done) != 1 || len(open) != 2 {
		t.Errorf("%v are applied, %v are not", done, open)
	}
	if len(tables(t, pool, "asof")) == 0 {
		t.Error("the set before it is gone")
	}
	files["0002_bad.sql"] = "create table half (n int)" // mended
	must(t, migrations.Up(ctx, pool, service(files)))
	if got := tables(t, pool, "service"); !cmp.Equal(got, []string{"half", "never", "notes"}) {
		t.Errorf("after it was mended the schema has the tables %v", got)
	}
}

// Sets live beside each other, each in its schema, also the framework's own twice.
func TestSetsBesideEachOther(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	notes := service(map[string]string{"0001_notes.sql": "create table notes (n int)", "0007_more.sql": "alter table notes add m int"})
	must(t, migrations.Up(ctx, pool, migrations.Framework("asof"), notes, migrations.Framework("other_store")))
	if a, b := tables(t, pool, "asof"), tables(t, pool, "other_store"); len(a) == 0 || !cmp.Equal(a, b) {
		t.Errorf("two stores have the tables %v and %v", a, b)
	}
	if got := tables(t, pool, "public"); len(got) != 0 {
		t.Errorf("schema public has the tables %v", got)
	}
	must(t, migrations.Down(ctx, pool, migrations.Framework("asof"), 0))
	if len(tables(t, pool, "asof")) != 0 || len(tables(t, pool, "other_store")) == 0 || len(tables(t, pool, "service")) != 1 {
		t.Error("Down of one set has touched another, or not its own")
	}
	if done, _ := applied(t, pool, notes); !cmp.Equal(done, []string{"0001_notes.sql", "0007_more.sql"}) {
		t.Errorf("%v are applied", done)
	}
}

func TestBadSets(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	good := service(map[string]string{"0001_notes.sql": "create table notes (n int)"})
	for _, name := range []string{"", "Asof", "1asof", "a-b", `a"b`, "a b", "asof; drop table x", strings.Repeat("a", 64)} {
		bad := good
		bad.Schema = name
		for call, err := range map[string]error{
			"Up":   migrations.Up(t.Context(), pool, migrations.Framework("before"), bad),
			"Down": migrations.Down(t.Context(), pool, bad, 0),
		} {
			if err == nil || !strings.Contains(err.Error(), "use 1 to 63 of a-z 0-9 _") || strings.Count(err.Error(), "migrations: ") != 1 {
				t.Errorf("%s of schema %q: got %v, want a refusal that says what is allowed", call, name, err)
			}
		}
	}
	if got := tables(t, pool, "before"); len(got) != 0 {
		t.Errorf("the set before a bad one was applied: %v", got)
	}
	long := good
	long.Schema = strings.Repeat("a", 63)
	must(t, migrations.Up(t.Context(), pool, long))
	for what, set := range map[string]migrations.Set{
		"has no files":             {Schema: "service"},
		"no file of the form 0001": {Schema: "service", Files: good.Files, Dir: "elsewhere"},
	} {
		if err := migrations.Up(t.Context(), pool, set); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want an error that says %q", err, what)
		}
	}
}

// A pool of one connection is enough, and stays free.
func TestUpTakesNothingFromThePool(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(embeddedtest.Database(t))
	must(t, err)
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	must(t, err)
	t.Cleanup(pool.Close)
	conn, err := pool.Acquire(t.Context())
	must(t, err)
	defer conn.Release()
	must(t, migrations.Up(t.Context(), pool))
}

// Who waits for another's migrations can be told to stop.
func TestUpCancelledWhileItWaits(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	tx, err := pool.Begin(t.Context())
	must(t, err)
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	_, err = tx.Exec(t.Context(), `select pg_advisory_xact_lock(hashtextextended('asof migrations asof', 0))`)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() { answer <- migrations.Up(ctx, pool) }()
	patience, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for waiting := false; !waiting; {
		must(t, pool.QueryRow(patience, `select exists (select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database()))`).Scan(&waiting))
	}
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "wait for other migrations") {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A role that may not create schemas can run migrations in one made for it.
func TestUpInASchemaMadeForTheRole(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	role := "role_" + pool.Config().ConnConfig.Database // roles are the whole server's
	role = role[:min(len(role), 63)]
	_, err := pool.Exec(ctx, `create role `+role+` login password 'of its own'; create schema asof authorization `+role)
	must(t, err)
	t.Cleanup(func() {
		if _, err := pool.Exec(context.WithoutCancel(ctx), `drop owned by `+role+` cascade; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	config := pool.Config()
	config.ConnConfig.User, config.ConnConfig.Password = role, "of its own"
	own, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	defer own.Close()
	must(t, migrations.Up(ctx, own, migrations.Framework("asof")))
	if err := migrations.Up(ctx, own, migrations.Framework("another")); err == nil || !strings.Contains(err.Error(), "create schema") {
		t.Errorf("a schema that the role may not create: got %v", err)
	}
}

func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://user:s3cret@127.0.0.1:1/nowhere")
	must(t, err)
	t.Cleanup(pool.Close)
	err = migrations.Up(t.Context(), pool)
	if err == nil || !strings.Contains(err.Error(), "connect") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}
