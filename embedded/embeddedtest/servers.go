package embeddedtest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/embedded/internal/pgbin"
	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/cachedir"
)

const (
	// startWait bounds a start, which may fetch PostgreSQL first.
	startWait = 10 * time.Minute
	stopWait  = time.Minute
)

// newServer starts a server in a new directory below scratchDir, from the
// template.
func newServer(ctx context.Context, with settings) (_ *pgserver.Server, _ pgserver.Config, _ *scratch, err error) {
	place, err := newScratch("server-*")
	if err != nil {
		return nil, pgserver.Config{}, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, place.remove())
		}
	}()
	config, err := with.config(ctx, place)
	if err != nil {
		return nil, config, place, err
	}
	server, err := pgserver.Start(ctx, config)
	return server, config, place, err
}

// programs finds those of a major version, 0 for the usual one, and a template of
// their making.
func programs(ctx context.Context, major int, template bool) (install pgbin.Install, dir string, err error) {
	env := embedded.FromEnv()
	cache, err := cachedir.Dir(env.CacheDir)
	if err != nil {
		return install, "", err
	}
	finder := pgbin.Finder{Bin: env.PostgresBin, Cache: cache, Repository: env.Repository, System: pgbin.SystemDirs(), Major: major, Logger: slog.Default()}
	if install, err = finder.Find(ctx); err != nil || !template {
		return install, "", err
	}
	dir, err = pgserver.MakeTemplate(ctx, install, cache)
	return install, dir, err
}
