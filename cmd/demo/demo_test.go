package main

import (
	"os"
	"testing"
)

// The demo itself, with fewer orders, where the environment names other servers.
func TestDemo_shows_that_all_promises_hold(t *testing.T) {
	t.Setenv("TMPDIR", openTempDir(t))
	t.Setenv("DATABASE_URL", "postgres://127.0.0.1:1/theirs")
	t.Setenv("KAFKA_BROKERS", "127.0.0.1:1")
	t.Chdir("../..") // the demo builds the programs, in the project's folder
	if err := run(t.Context(), []string{"-orders", "150", "-clients", "16"}); err != nil {
		t.Fatal(err)
	}
	if left := names(t, os.TempDir()); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// openTempDir is one that the server's user may enter when the tests run as root.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "asof-demotest-*") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBad_flags_are_refused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-orders", "3"}, {"-clients", "0"}, {"walk"}, {"-nonsense"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
