package pgbin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"github.com/asof-dev/asof/embedded/internal/dirs"
	"github.com/asof-dev/asof/internal/dirlock"
)

const (
	// reachTimeout bounds the look whether the repository answers at all, so
	// that an offline machine falls back quickly.
	reachTimeout = 5 * time.Second
	// fetchTimeout bounds a fetch, 15 to 70 MB.
	fetchTimeout = 10 * time.Minute
	workPattern  = "fetch-*"
)

// errAbandoned says that the library was left running.
var errAbandoned = errors.New("fetching was given up")

// fetched returns PostgreSQL from the cache and puts it there first when it is
// missing. Any number of processes may call it at once: one fetches.
func (f Finder) fetched(ctx context.Context) (Install, error) {
	version := fetchVersion(f.major())
	if version == "" {
		return Install{}, fmt.Errorf("none of version %d is known to be fetched", f.major())
	}
	home := filepath.Join(f.Cache, fmt.Sprintf("postgres-%s-%s-%s", version, runtime.GOOS, runtime.GOARCH))
	bin := filepath.Join(home, "bin")
	if _, err := os.Stat(program(bin, "postgres")); err == nil {
		return Inspect(ctx, bin)
	}
	lock, err := dirlock.Wait(ctx, f.Cache)
	if err != nil {
		return Install{}, err
	}
	defer lock.Release()
	if _, err := os.Stat(program(bin, "postgres")); err == nil { // another process was first
		return Inspect(ctx, bin)
	}
	if err := f.fill(ctx, home); err != nil {
		return Install{}, err
	}
	return Inspect(ctx, bin)
}

// fill fetches, checks and unpacks in a directory beside home, and renames the
// result into place, so that home is whole or absent.
func (f Finder) fill(ctx context.Context, home string) (err error) {
	if err := f.sweep(); err != nil {
		return err
	}
	work, err := os.MkdirTemp(f.Cache, workPattern)
	if err != nil {
		return err
	}
	defer func() {
		// After a cancelled fetch the library may still be writing there, and
		// it panics when its directory goes away: the next fetch sweeps it.
		if !errors.Is(err, errAbandoned) {
			err = errors.Join(err, os.RemoveAll(work))
		}
	}()
	library, err := newLibrary(work, f.repository(), fetchVersion(f.major()))
	if err != nil {
		return err
	}
	archive, err := f.archive(ctx, library)
	if err != nil {
		return err
	}
	pinnedHere, err := verify(archive)
	if err != nil {
		return err
	}
	if !pinnedHere {
		f.logger().WarnContext(ctx, "no checksum of our own for this platform, only the repository's was checked", "archive", filepath.Base(archive))
	}
	unpacked, err := library.unpack(ctx)
	if err != nil {
		return err
	}
	if err := dirs.Open(unpacked); err != nil { // the server's user enters it
		return err
	}
	// A home without programs is left of an interrupted deletion.
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	return os.Rename(unpacked, home)
}

// sweep removes what interrupted fetches left, once they have surely ended.
func (f Finder) sweep() error {
	left, err := filepath.Glob(filepath.Join(f.Cache, workPattern))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 2*fetchTimeout {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// archive downloads the archive into the library's cache.
func (f Finder) archive(ctx context.Context, library *library) (string, error) {
	if err := reachable(ctx, f.repository()); err != nil {
		return "", err
	}
	f.logger().InfoContext(ctx, "fetching PostgreSQL, once", "version", fetchVersion(f.major()), "from", f.repository(), "into", f.Cache)
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return library.download(ctx)
}

// reachable asks the repository for anything at all.
func reachable(ctx context.Context, repository string) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, repository+"/", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s cannot be reached: %w", repository, err)
	}
	return response.Body.Close()
}

// repository is the library's own default, Maven Central, unless another is given. The
// library keeps the address to itself, and it is needed to ask whether it answers.
func (f Finder) repository() string {
	if f.Repository != "" {
		return f.Repository
	}
	return reflect.ValueOf(embeddedpostgres.DefaultConfig()).FieldByName("binaryRepositoryURL").String()
}

// library uses embedded-postgres for the two things we want of it: download an
// archive into a cache, and unpack it. Its one entry point, Start, does both
// and then goes on to make and start a server, so each step is arranged to
// fail right after what we want: no program of the archive runs before its
// checksum was compared. Success is judged by the files, not by Start's error.
type library struct {
	cache    string // the archive lands here
	unpacked string
	dangling string // a link to nothing: absent to look at, but no directory can be made there
	file     string // a plain file: nothing below it can be made or removed
	version  string
	config   embeddedpostgres.Config
}

func newLibrary(work, repository, version string) (*library, error) {
	l := &library{
		cache:    filepath.Join(work, "cache"),
		unpacked: filepath.Join(work, "unpacked"),
		dangling: filepath.Join(work, "dangling"),
		file:     filepath.Join(work, "file"),
		version:  version,
	}
	l.config = embeddedpostgres.DefaultConfig().
		Version(embeddedpostgres.PostgresVersion(version)).
		Port(0).
		BinaryRepositoryURL(repository).
		CachePath(l.cache).
		RuntimePath(filepath.Join(work, "runtime")).
		Logger(io.Discard)
	if err := os.WriteFile(l.file, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Symlink(filepath.Join(work, "nothing"), l.dangling); err != nil {
		l.dangling = l.file // Windows without the right to links: what is below a file is absent there
	}
	return l, nil
}

// download stops where the directory to unpack in would be made.
func (l *library) download(ctx context.Context) (archive string, err error) {
	stopped := l.start(ctx, l.config.BinariesPath(filepath.Join(l.dangling, "x", "y")).DataPath(filepath.Join(l.file, "x", "y")))
	found, err := filepath.Glob(filepath.Join(l.cache, "*.txz"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("fetching PostgreSQL %s: %w", l.version, stopped)
	}
	return found[0], nil
}

// unpack stops where an old data directory would be removed.
func (l *library) unpack(ctx context.Context) (dir string, err error) {
	stopped := l.start(ctx, l.config.BinariesPath(l.unpacked).DataPath(filepath.Join(l.file, "x", "y")))
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(program(filepath.Join(l.unpacked, "bin"), name)); err != nil {
			return "", fmt.Errorf("unpacking PostgreSQL %s: %w", l.version, errors.Join(stopped, err))
		}
	}
	return l.unpacked, nil
}

// start runs Start until it fails, or ctx ends. The library takes no context:
// after a cancelled one its goroutine runs out on its own, in a directory that
// nobody else uses.
func (l *library) start(ctx context.Context, config embeddedpostgres.Config) error {
	done := make(chan error, 1)
	go func() {
		postgres := embeddedpostgres.NewDatabase(config)
		err := postgres.Start()
		if err == nil { // cannot happen: the data directory cannot be made
			err = errors.Join(errors.New("a server started that should not"), postgres.Stop())
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errAbandoned, context.Cause(ctx))
	}
}
