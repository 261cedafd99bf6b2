package migrations_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/migrations"
)

func TestUp_down_and_up_again_make_the_same(t *testing.T) {
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
	if !slices.Contains(first, "events") || !slices.Contains(first, "builds") {
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
func TestUp_in_many_processes_at_once(t *testing.T) {
	t.Parallel()
	address := embeddedtest.Database(t)
	// What is read after the lock was waited for must be what others left.
	configure(t, newPool(t, address), "default_transaction_isolation", "repeatable read")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		pool := newPool(t, address)
		wg.Go(func() {
			if err := migrations.Up(ctx, pool, migrations.Framework("asof"), service(map[string]string{"0001_notes.sql": "create table notes as select current_setting('transaction_isolation') as level"})); err != nil {
				t.Error(err)
			}
			var ready bool
			if err := pool.QueryRow(ctx, `select to_regclass('asof.inbox') is not null and to_regclass('service.notes') is not null`).Scan(&ready); err != nil || !ready {
				t.Errorf("Up returned before the tables were there: %v", err)
			}
		})
	}
	wg.Wait()
	if level := text(t, newPool(t, address), `select level from service.notes`); level != "read committed" {
		t.Errorf("a file ran in %s", level)
	}
	t.Logf("eight took %s", time.Since(begin))
}

// A failed file names itself, leaves the earlier ones, and nothing of its own.
func TestUp_leaves_what_came_before_a_failed_file(t *testing.T) {
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
func TestUp_keeps_sets_in_schemas_of_their_own(t *testing.T) {
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

// A pool of one connection is enough, and stays free.
func TestUp_takes_nothing_from_the_pool(t *testing.T) {
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

// A password that is fetched for each connection is fetched for this one.
func TestUp_connects_as_the_pool_does(t *testing.T) {
	t.Parallel()
	pool := embeddedtest.Pool(t)
	password := pool.Config().ConnConfig.Password
	fetching := another(t, pool, func(c *pgxpool.Config) {
		c.ConnConfig.Password = "none yet"
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			c.Password = password
			return nil
		}
	})
	must(t, migrations.Up(t.Context(), fetching))
	locked := errors.New("the safe is locked")
	refusing := another(t, pool, func(c *pgxpool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return locked }
	})
	if err := migrations.Up(t.Context(), refusing); !errors.Is(err, locked) {
		t.Errorf("got %v", err)
	}
}

// Who waits for another's migrations can be told to stop.
func TestUp_can_be_cancelled_while_it_waits(t *testing.T) {
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
	waiters(t, pool, 1)
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "wait for other migrations") {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A role that may not create schemas can run migrations in one made for it.
func TestUp_in_a_schema_made_for_the_role(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := embeddedtest.Pool(t)
	role, own := login(t, pool, "")
	exec(t, pool, `create schema asof authorization `+role)
	must(t, migrations.Up(ctx, own, migrations.Framework("asof")))
	says(t, migrations.Up(ctx, own, migrations.Framework("another")), `create schema "another" authorization`, "grant create on database", "permission denied")
	exec(t, pool, `grant create on database `+pgx.Identifier{pool.Config().ConnConfig.Database}.Sanitize()+` to `+role)
	must(t, migrations.Up(ctx, own, migrations.Framework("another")))
	exec(t, pool, `create schema closed; revoke all on schema closed from public`)
	says(t, migrations.Up(ctx, own, migrations.Framework("closed")), `grant usage on schema "closed"`)
	exec(t, pool, `grant usage on schema closed to `+role)
	says(t, migrations.Up(ctx, own, migrations.Framework("closed")), "run as the owner")
}

func TestUp_says_that_the_database_cannot_be_reached(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://user:s3cret@127.0.0.1:1/nowhere")
	must(t, err)
	t.Cleanup(pool.Close)
	err = migrations.Up(t.Context(), pool)
	if err == nil || !strings.Contains(err.Error(), "connect") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}
