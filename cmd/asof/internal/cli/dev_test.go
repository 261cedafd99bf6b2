package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/asof-dev/asof/cmd/asof/internal/cli"
	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
)

type ready struct {
	DatabaseURL string            `json:"database_url"`
	Databases   map[string]string `json:"databases"`
	Brokers     []string          `json:"brokers"`
}

// ready waits for the line that says so.
func (r *running) ready() (line ready) {
	r.Helper()
	until(r, "the stack is ready", func() bool {
		if len(r.done) > 0 {
			r.exits(command.ExitOK)
		}
		return strings.Contains(r.stdout.String(), "\n")
	})
	decoder := json.NewDecoder(strings.NewReader(r.stdout.String()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&line); err != nil || strings.Count(r.stdout.String(), "\n") != 1 {
		r.Fatalf("%v in %s", err, r.stdout)
	}
	return line
}

// newDir is a directory that the server's user may enter, which cannot enter a
// test's own when the tests run as root.
func newDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "asof-dev-*") //nolint:usetesting // see above
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

func TestDev_keeps_the_stack_until_stopped(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	dev := start(t, nil, "dev", "--dir", dir, "-o", "json")
	first := dev.ready()
	if len(first.Databases) != 2 || len(first.Brokers) != 1 || first.DatabaseURL == "" {
		t.Fatalf("%+v", first)
	}
	for name, address := range first.Databases {
		env := map[string]string{"DATABASE_URL": address, "KAFKA_BROKERS": first.Brokers[0]}
		start(t, env, name, "status").exits(command.ExitOK, name+": database "+name)
	}
	start(t, map[string]string{"ASOF_DIR": dir}, "dev").exits(command.ExitBusy, "in use by process "+strconv.Itoa(os.Getpid()))
	dev.stop()
	dev.exits(command.ExitOK)
	start(t, map[string]string{"DATABASE_URL": first.DatabaseURL}, "status").exits(command.ExitUnreachable)

	again := start(t, map[string]string{"ASOF_DIR": dir}, "dev")
	until(t, "the stack is up again", func() bool {
		return strings.Contains(again.stdout.String(), "DATABASE_URL='"+first.Databases["orders"]+"'")
	})
	again.stop()
	again.exits(command.ExitOK, "export KAFKA_BROKERS="+first.Brokers[0])
}

func TestDev_ends_when_Postgres_dies(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	dev := start(t, nil, "dev", "--dir", dir, "-o", "json")
	dev.ready()
	file, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(file), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	server, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	dev.exits(command.ExitFailure, `"message":"asof: the Postgres of the stack has ended`, "postgres.log")
}

// On a server that somebody works with only that is made which was asked for.
func TestDev_makes_nothing_on_given_servers_unasked(t *testing.T) {
	t.Parallel()
	server, brokers := embeddedtest.Server(t), embeddedtest.Brokers(t)
	env := map[string]string{"DATABASE_URL": server.URL(), "KAFKA_BROKERS": strings.Join(brokers, ",")}
	objects := func() (count int) {
		t.Helper()
		const query = `SELECT (SELECT count(*) FROM pg_database) + (SELECT count(*) FROM pg_class) + (SELECT count(*) FROM pg_namespace) + (SELECT count(*) FROM pg_roles)`
		if err := server.Pool().QueryRow(t.Context(), query).Scan(&count); err != nil {
			t.Fatal(err)
		}
		return count
	}
	before := objects()
	dev := start(t, env, "dev", "-o", "json")
	line := dev.ready()
	if line.DatabaseURL != server.URL() || len(line.Brokers) != len(brokers) || len(line.Databases) != 0 {
		t.Errorf("%+v", line)
	}
	dev.stop()
	dev.exits(command.ExitOK)
	if after := objects(); after != before {
		t.Errorf("%d objects became %d", before, after)
	}

	dev = start(t, env, "dev", "-o", "json", "--databases")
	line = dev.ready()
	if !strings.Contains(line.Databases["orders"], "/orders?") {
		t.Errorf("%+v", line)
	}
	start(t, map[string]string{"DATABASE_URL": line.Databases["inventory"]}, "inventory", "status").exits(command.ExitOK)
	dev.stop()
	dev.exits(command.ExitOK)
	start(t, map[string]string{"DATABASE_URL": line.Databases["orders"]}, "orders", "status").exits(command.ExitOK)
}

// The text says of each server who has started it, and repeats no password that was
// given.
func TestDev_says_what_was_started_and_what_answers(t *testing.T) {
	t.Parallel()
	server, brokers := embeddedtest.Server(t), strings.Join(embeddedtest.Brokers(t), ",")
	for _, c := range []struct {
		env  map[string]string
		says string
	}{
		{map[string]string{"DATABASE_URL": server.URL(), "KAFKA_BROKERS": brokers}, "Nothing was started"},
		{map[string]string{"DATABASE_URL": server.URL()}, "Kafka is up, and the Postgres of DATABASE_URL answers. Ctrl-C stops Kafka"},
		{map[string]string{"KAFKA_BROKERS": brokers}, "Postgres is up, and the Kafka of KAFKA_BROKERS answers. Ctrl-C stops Postgres"},
		{map[string]string{}, "Postgres and Kafka are up."},
	} {
		dev := start(t, c.env, "dev", "--dir", newDir(t))
		until(t, c.says, func() bool {
			if len(dev.done) > 0 {
				dev.exits(command.ExitOK)
			}
			return strings.Contains(dev.stdout.String(), c.says)
		})
		dev.stop()
		dev.exits(command.ExitOK, "export KAFKA_BROKERS=")
		if c.env["DATABASE_URL"] != "" && strings.Contains(dev.stdout.String()+dev.log.String(), "DATABASE_URL=") {
			t.Errorf("a given address is repeated:\n%s", dev.stdout)
		}
	}
}

func TestDev_refuses_what_it_cannot_have(t *testing.T) {
	t.Parallel()
	start(t, nil, "dev", "now").exits(command.ExitUsage, "no arguments")
	start(t, nil, "dev", "--dir", "/dev/null/x").exits(command.ExitFailure, "/dev/null: not a directory")
	brokers := strings.Join(embeddedtest.Brokers(t), ",")
	for _, c := range []struct {
		database, brokers string
		code              int
		text              string
	}{
		{"postgres://u:secret@127.0.0.1:1/x", brokers, command.ExitUnreachable, "127.0.0.1:1"},
		{"postgres://u:sec@ret@127.0.0.1:1/x", brokers, command.ExitUsage, "write @ as %40"},
		{"host=127.0.0.1 port=1 password=sec ret", brokers, command.ExitUsage, "words and values"},
		{embeddedtest.Database(t), "127.0.0.1:1", command.ExitUnreachable, "none of the brokers that KAFKA_BROKERS names answers"},
		{"", "127.0.0.1:1", command.ExitUnreachable, "none of the brokers that KAFKA_BROKERS names answers"},
	} {
		dir := newDir(t)
		r := start(t, map[string]string{"DATABASE_URL": c.database, "KAFKA_BROKERS": c.brokers}, "dev", "--dir", dir)
		r.exits(c.code, c.text)
		for _, said := range []string{r.log.String(), r.stdout.String()} {
			if strings.Contains(said, "secret") || strings.Contains(said, "ret@") || strings.Contains(said, "sec ") || strings.Contains(said, " up") {
				t.Errorf("%+v: it says %s", c, said)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%+v: %v was made, %v", c, left, err)
		}
	}
}

func TestShell_takes_what_is_printed_for_it(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a:1,b.c:2": "a:1,b.c:2", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "postgres://u@h/x?a=b": "'postgres://u@h/x?a=b'", "$(x)": "'$(x)'",
	} {
		if got := cli.ShellQuote(text); got != want {
			t.Errorf("%q is printed as %s, want %s", text, got, want)
		}
	}
}
