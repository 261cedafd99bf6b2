package embeddedtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/cachedir"
	"github.com/asof-dev/asof/internal/dirlock"
	"github.com/asof-dev/asof/internal/dirs"
)

// staleAfter is how long a directory without a lock may be one that is just being
// made.
const staleAfter = time.Minute

// scratch is a directory of this process, which every user may enter. Its lock is held
// while the process uses it, whether a server runs in it or not: others sweep what
// nobody holds.
type scratch struct {
	dir  string
	lock *dirlock.Lock
}

// dirVariable names the directory that test servers live in.
const dirVariable = "ASOF_TEST_DIR"

// scratchDir is where test servers live: unlike a test's temporary directory
// the server's user may enter it when the tests run as root.
func scratchDir() (string, error) {
	if given := os.Getenv(dirVariable); given != "" {
		if !filepath.IsAbs(given) {
			return "", fmt.Errorf("%s=%s is no absolute path", dirVariable, given)
		}
		return given, dirs.Make(given, 0o755)
	}
	cache, err := cachedir.Dir(embedded.FromEnv().CacheDir)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "testservers")
	return dir, dirs.Make(dir, 0o755)
}

func newScratch(pattern string) (_ *scratch, err error) {
	parent, err := scratchDir()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	lock, err := dirlock.Acquire(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &scratch{dir: dir, lock: lock}, nil
}

// server is where a server has its directory.
func (s *scratch) server() string { return filepath.Join(s.dir, "server") }

// archive is where a server keeps its log, and outlives its data there.
func (s *scratch) archive() string { return filepath.Join(s.dir, "archive") }

// remove removes it; the lock first, since Windows removes no open file.
func (s *scratch) remove() error { return errors.Join(s.lock.Release(), os.RemoveAll(s.dir)) }

// sweep removes what test processes that have ended have left. What cannot be removed
// (it is in use, or another user's) is left to a later process.
func sweep(ctx context.Context) error {
	parent, err := scratchDir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		sweepOne(ctx, filepath.Join(parent, entry.Name()))
	}
	return nil
}

func sweepOne(ctx context.Context, dir string) {
	lock, err := dirlock.Acquire(dir)
	if err != nil {
		return
	}
	left := &scratch{dir: dir, lock: lock}
	if _, err := os.Stat(left.server()); err == nil {
		if pgserver.Discard(ctx, pgserver.Config{Dir: left.server()}) != nil {
			_ = lock.Release()
			return
		}
	}
	_ = left.remove()
}
