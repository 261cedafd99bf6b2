package embeddedtest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/embedded/internal/pgbin"
	"github.com/asof-dev/asof/embedded/internal/pgserver"
)

const (
	// startWait bounds a start, which may fetch PostgreSQL first.
	startWait = 10 * time.Minute
	stopWait  = time.Minute
	// staleAfter is how long a directory without a lock may be one whose
	// server is just being started.
	staleAfter = time.Minute
)

// scratchDir is where test servers live: unlike a test's temporary directory
// the server's user may enter it when the tests run as root.
func scratchDir() (string, error) {
	cache, err := pgbin.CacheDir(embedded.FromEnv().CacheDir)
	if err != nil {
		return "", err
	}
	scratch := filepath.Join(cache, "testservers")
	return scratch, os.MkdirAll(scratch, 0o755)
}

// newServer starts a server in a new directory below scratchDir, from the
// template.
func newServer(ctx context.Context) (*pgserver.Server, pgserver.Config, error) {
	none := pgserver.Config{}
	env := embedded.FromEnv()
	cache, err := pgbin.CacheDir(env.CacheDir)
	if err != nil {
		return nil, none, err
	}
	finder := pgbin.Finder{Bin: env.PostgresBin, Cache: cache, Repository: env.Repository, System: pgbin.SystemDirs(), Logger: slog.Default()}
	install, err := finder.Find(ctx)
	if err != nil {
		return nil, none, err
	}
	template, err := pgserver.MakeTemplate(ctx, install, cache)
	if err != nil {
		return nil, none, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, none, err
	}
	config := pgserver.Config{Dir: dir, Install: install, Template: template, Volatile: true}
	server, err := pgserver.Start(ctx, config)
	if err != nil {
		return nil, none, errors.Join(err, os.RemoveAll(dir))
	}
	return server, config, nil
}

// newDir makes a directory below scratchDir that every user may enter.
func newDir() (string, error) {
	scratch, err := scratchDir()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(scratch, "server-*")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// sweep removes the servers of test processes that have ended. One that cannot
// be removed (it is in use, or another user's) is left to a later process.
func sweep(ctx context.Context) error {
	scratch, err := scratchDir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(scratch)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		_ = pgserver.Discard(ctx, pgserver.Config{Dir: filepath.Join(scratch, entry.Name())})
	}
	return nil
}
