package pgbin_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

func TestOffline_the_newest_of_the_system_is_used(t *testing.T) {
	t.Parallel()
	newest := programs(t, "17.2 (Debian 17.2-1)")
	finder := pgbin.Finder{
		Cache: t.TempDir(), Repository: closed(t),
		System: []string{programs(t, "14.9"), programs(t, "15.1"), newest, programs(t, "16.0"), t.TempDir()},
	}
	found, err := finder.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (pgbin.Install{Dir: newest, Version: "17.2 (Debian 17.2-1)", Major: 17}); found != want {
		t.Errorf("got %+v, want %+v", found, want)
	}
}

func TestOffline_an_old_system_is_told_what_to_do(t *testing.T) {
	t.Parallel()
	finder := pgbin.Finder{Cache: t.TempDir(), Repository: closed(t), System: []string{programs(t, "14.9")}}
	_, err := finder.Find(t.Context())
	if err == nil {
		t.Fatal("PostgreSQL 14 was taken")
	}
	for _, part := range []string{"cannot be reached", "none of version 15 or later", "go online once", "install", "ASOF_PG_BIN"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
}

func TestGiven_directory_is_the_only_one_that_counts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, dir, want string }{
		{"empty", t.TempDir(), "has no program postgres"},
		{"old", programs(t, "14.9"), "it is PostgreSQL 14.9, and 15 or later is needed"},
		{"odd", programs(t, "what"), "not what PostgreSQL prints"},
	} {
		finder := pgbin.Finder{Bin: c.dir, Cache: t.TempDir(), Repository: closed(t), System: []string{programs(t, "17.2")}}
		_, err := finder.Find(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "ASOF_PG_BIN") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	beta := programs(t, "19beta1")
	found, err := pgbin.Finder{Bin: beta}.Find(t.Context())
	if err != nil || found.Major != 19 || found.Program("initdb") != filepath.Join(beta, "initdb") {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestMajor_that_is_asked_for_is_the_only_one_that_counts(t *testing.T) {
	t.Parallel()
	old := programs(t, "15.1")
	finder := pgbin.Finder{Cache: t.TempDir(), Repository: closed(t), System: []string{programs(t, "17.2"), old, programs(t, "18.1")}, Major: 15}
	for _, bin := range []string{"", programs(t, "18.1"), old} {
		finder.Bin = bin
		if found, err := finder.Find(t.Context()); err != nil || found.Dir != old {
			t.Errorf("with ASOF_PG_BIN %q: %+v, %v", bin, found, err)
		}
	}
	for _, major := range []int{15, 16} {
		finder.Bin, finder.System, finder.Major = "", []string{programs(t, "18.1")}, major
		if found, err := finder.Find(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no PostgreSQL %d", major)) {
			t.Errorf("%d: %+v, %v", major, found, err)
		}
	}
}

func TestPins_are_there_for_every_version_and_platform(t *testing.T) {
	t.Parallel()
	for _, major := range []int{pgbin.FetchMajor, pgbin.OldMajor} {
		for _, platform := range []string{"linux-amd64", "linux-amd64-alpine", "linux-arm64v8", "darwin-amd64", "darwin-arm64v8", "windows-amd64"} {
			if sum, ok := pgbin.PinOf(major, platform); !ok || len(sum) != 64 {
				t.Errorf("%d on %s: %q", major, platform, sum)
			}
		}
	}
	if _, ok := pgbin.PinOf(pgbin.FetchMajor, "plan9-mips"); ok {
		t.Error("there is a pin for any platform")
	}
}

func TestCancelled_find_does_not_fall_back(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	finder := pgbin.Finder{Cache: t.TempDir(), Repository: closed(t), System: []string{programs(t, "17.2")}}
	if found, err := finder.Find(ctx); err == nil {
		t.Errorf("got %+v", found)
	}
}

// programs are a postgres that prints version and an initdb. They are scripts:
// what they would do is not asked.
func programs(t *testing.T, version string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// closed is a repository where nobody listens.
func closed(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return "http://" + listener.Addr().String()
}
