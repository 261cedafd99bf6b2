package migrations_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/internal/wait"
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

// raw is such a set whose files are given whole.
func raw(files map[string]string) migrations.Set {
	content := fstest.MapFS{}
	for name, text := range files {
		content[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return migrations.Set{Schema: "service", Files: content}
}

// tables lists the tables of a schema, without goose's own.
func tables(t *testing.T, pool *pgxpool.Pool, schema string) []string {
	t.Helper()
	return texts(t, pool, `select tablename::text from pg_tables where schemaname = $1 and tablename <> 'goose_db_version' order by 1`, schema)
}

func texts(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	must(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return list
}

func text(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) string {
	t.Helper()
	list := texts(t, pool, sql, args...)
	if len(list) != 1 {
		t.Fatalf("%s: %d rows", sql, len(list))
	}
	return list[0]
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql, args...)
	must(t, err)
}

// configure sets a parameter for all later sessions of the test's database.
func configure(t *testing.T, pool *pgxpool.Pool, name, value string) {
	t.Helper()
	exec(t, pool, fmt.Sprintf(`alter database %s set %s = '%s'`, pgx.Identifier{pool.Config().ConnConfig.Database}.Sanitize(), name, value))
}

func newPool(t *testing.T, address string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), address)
	must(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// another is a pool on the same database, changed.
func another(t *testing.T, pool *pgxpool.Pool, change func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config := pool.Config()
	if change != nil {
		change(config)
	}
	own, err := pgxpool.NewWithConfig(t.Context(), config)
	must(t, err)
	t.Cleanup(own.Close)
	return own
}

// login makes a role with a password, which is gone at the end, and a pool of its own.
func login(t *testing.T, pool *pgxpool.Pool, suffix string) (role string, own *pgxpool.Pool) {
	t.Helper()
	name := pool.Config().ConnConfig.Database // roles are the whole server's
	role = name[max(0, len(name)-40):] + suffix
	role = "r" + strings.TrimLeft(role, "_0123456789")
	exec(t, pool, `create role `+role+` login password 'of its own'`)
	t.Cleanup(func() {
		if _, err := pool.Exec(context.WithoutCancel(t.Context()), `drop owned by `+role+` cascade; drop role `+role); err != nil {
			t.Error(err)
		}
	})
	return role, another(t, pool, func(c *pgxpool.Config) { c.ConnConfig.User, c.ConnConfig.Password = role, "of its own" })
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

// patience is for machines that have much else to do.
const patience = 30 * time.Second

// until asks a question of the database until the answer is yes.
func until(t *testing.T, pool *pgxpool.Pool, what, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for yes := false; !yes; {
		err := pool.QueryRow(ctx, sql, args...).Scan(&yes)
		if err == nil && !yes {
			err = wait.For(ctx, time.Millisecond)
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// waiters waits until n others wait for the lock: they ask, and ask again.
func waiters(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	until(t, pool, "others ask for the lock", `select count(*) >= $1 from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid() and (query like '%pg_try_advisory%' or query = 'rollback')`, n)
}

// ups calls Up in n processes (pools) at once and returns their answers as they come.
func ups(t *testing.T, pool *pgxpool.Pool, n int, sets ...migrations.Set) <-chan error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	answers := make(chan error, n)
	ended := make(chan struct{}, n)
	for range n {
		go func() {
			answers <- migrations.Up(ctx, pool, sets...)
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range n {
			<-ended
		}
	})
	return answers
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says checks that an error has those parts, and the package's name once.
func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Count(err.Error(), "migrations: ") != 1 || !strings.HasPrefix(err.Error(), "migrations: ") {
		t.Errorf("%q does not name the package once", err)
	}
}
