package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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

func TestDevKeepsTheStackUntilStopped(t *testing.T) {
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

func TestDevEndsWhenPostgresDies(t *testing.T) {
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

// With servers given it starts none, and makes the databases there.
func TestDevOnGivenServers(t *testing.T) {
	t.Parallel()
	server, brokers := embeddedtest.Server(t), embeddedtest.Brokers(t)
	env := map[string]string{"DATABASE_URL": server.URL(), "KAFKA_BROKERS": strings.Join(brokers, ",")}
	dev := start(t, env, "dev", "-o", "json")
	line := dev.ready()
	if line.DatabaseURL != server.URL() || len(line.Brokers) != len(brokers) || !strings.Contains(line.Databases["orders"], "/orders?") {
		t.Errorf("%+v", line)
	}
	start(t, map[string]string{"DATABASE_URL": line.Databases["inventory"]}, "inventory", "status").exits(command.ExitOK)
	dev.stop()
	dev.exits(command.ExitOK)
	start(t, map[string]string{"DATABASE_URL": line.Databases["orders"]}, "orders", "status").exits(command.ExitOK)
}

func TestDevRefuses(t *testing.T) {
	t.Parallel()
	start(t, nil, "dev", "now").exits(command.ExitUsage, "no arguments")
	start(t, nil, "dev", "--dir", "/dev/null/x").exits(command.ExitFailure, "/dev/null: not a directory")
	env := map[string]string{"DATABASE_URL": "postgres://u:secret@127.0.0.1:1/x", "KAFKA_BROKERS": "127.0.0.1:1"}
	r := start(t, env, "dev")
	r.exits(command.ExitUnreachable, "127.0.0.1:1")
	if strings.Contains(r.log.String()+r.stdout.String(), "secret") {
		t.Errorf("the password is shown: %s", r.log)
	}
}
