package embedded_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/embedded"
)

// patience bounds what a test waits for; a first start may fetch PostgreSQL.
const patience = 5 * time.Minute

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// newDir is a temporary directory that the server's user may enter, unlike
// t.TempDir() when the tests run as root.
func newDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "asof-embedded-*") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// config starts both parts in dir, whatever the environment gives.
func config(t testing.TB, dir string) embedded.Config {
	t.Helper()
	c := embedded.FromEnv()
	c.Dir, c.DatabaseURL, c.Brokers = dir, "", nil
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	return c
}

// start starts a stack; it is closed at the end of the test.
func start(t testing.TB, c embedded.Config) *embedded.Stack {
	t.Helper()
	stack, err := embedded.Start(within(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, stack) })
	return stack
}

func stop(t testing.TB, stack *embedded.Stack) {
	t.Helper()
	if err := stack.Close(); err != nil {
		t.Error(err)
	}
}

func connect(t testing.TB, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(within(t), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t testing.TB, conn *pgx.Conn, statement string, arguments ...any) {
	t.Helper()
	if _, err := conn.Exec(within(t), statement, arguments...); err != nil {
		t.Fatal(err)
	}
}

// numbers are the values of the table kept.
func numbers(t testing.TB, address string) map[int]bool {
	t.Helper()
	rows, err := connect(t, address).Query(within(t), `SELECT n FROM kept`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	set := map[int]bool{}
	for _, n := range all {
		set[n] = true
	}
	return set
}
