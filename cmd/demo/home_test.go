package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/asof-dev/asof/internal/dirlock"
)

// names are what lies in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func makeHome(t *testing.T, parent string) *home {
	t.Helper()
	h, err := newHome(parent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.lock.Release() })
	return h
}

// A process that was killed has no lock any more, and its directory has the marker.
func TestSweep_removes_what_killed_demos_have_left_and_nothing_else(t *testing.T) {
	t.Parallel()
	parent, elsewhere := t.TempDir(), t.TempDir()
	killed, living, failed := makeHome(t, parent), makeHome(t, parent), makeHome(t, parent)
	for _, dir := range []string{filepath.Join(killed.data(), "postgres"), filepath.Join(killed.data(), "kafka")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(killed.lock.Release(), failed.keep()); err != nil {
		t.Fatal(err)
	}
	busy := makeHome(t, parent) // its servers outlived it
	if err := errors.Join(busy.lock.Release(), os.MkdirAll(filepath.Join(busy.data(), "kafka"), 0o755)); err != nil {
		t.Fatal(err)
	}
	held, err := dirlock.Acquire(filepath.Join(busy.data(), "kafka"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	// What only looks like a demo's.
	unmarked, linked, linkedMarker := filepath.Join(parent, "asof-demo-1"), filepath.Join(parent, "asof-demo-2"), filepath.Join(parent, "asof-demo-3")
	file, other := filepath.Join(parent, "asof-demo-4"), filepath.Join(parent, "mine")
	target := filepath.Join(elsewhere, dirlock.FileName)
	for _, dir := range []string{unmarked, linkedMarker, other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{file, target, filepath.Join(other, dirlock.FileName)} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(elsewhere, linked), os.Symlink(target, filepath.Join(linkedMarker, dirlock.FileName))); err != nil {
		t.Fatal(err)
	}
	want := []string{file, linked, linkedMarker, unmarked, other, living.dir, failed.dir, busy.dir}
	if os.Geteuid() == 0 { // another user's, who laid a trap
		trap := makeHome(t, parent)
		if err := errors.Join(trap.lock.Release(), os.Lchown(trap.dir, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		want = append(want, trap.dir)
	}

	if err := sweep(t.Context(), parent); err != nil {
		t.Error(err)
	}
	var left []string
	for _, name := range names(t, parent) {
		left = append(left, filepath.Join(parent, name))
	}
	slices.Sort(want)
	slices.Sort(left)
	if !slices.Equal(left, want) {
		t.Errorf("left are\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
	}
	if got := names(t, elsewhere); len(got) != 1 {
		t.Errorf("behind the link are %v", got)
	}
	if got := names(t, failed.dir); !slices.Equal(got, []string{"logs"}) {
		t.Errorf("of the demo that failed %v is kept", got)
	}
}

func TestDemo_that_is_stopped_leaves_nothing_and_proves_nothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Chdir("../..")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{}, {"run"}} {
		err := run(ctx, args)
		if !errors.Is(err, errInterrupted) || exitCode(err) != 130 {
			t.Errorf("%v: %v, exit code %d", args, err, exitCode(err))
		}
	}
	if left := names(t, os.TempDir()); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	if exitCode(nil) != 0 || exitCode(errors.New("x")) != 1 {
		t.Error("other exit codes are wrong")
	}
}

// A demo must not fill the servers that somebody works with.
func TestDemo_forgets_the_servers_of_the_environment(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://theirs")
	t.Setenv("KAFKA_BROKERS", "theirs:1")
	t.Setenv("PGSERVICE", "theirs")
	for _, entry := range ownEnvironment() {
		if strings.Contains(entry, "theirs") {
			t.Errorf("%s is passed on", entry)
		}
	}
	if len(ownEnvironment()) < 2 {
		t.Error("nothing is passed on")
	}
	forgetOtherServers()
	for _, name := range []string{"DATABASE_URL", "KAFKA_BROKERS", "PGSERVICE"} {
		if value := os.Getenv(name); value != "" {
			t.Errorf("%s is still %s", name, value)
		}
	}
}
