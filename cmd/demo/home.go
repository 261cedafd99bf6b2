package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/internal/dirlock"
)

const homePattern = "asof-demo-*"

// home is the demo's directory: programs, logs, and data unless that is to stay. It is
// held by a lock, so that what no living demo holds is known to be left over.
type home struct {
	dir  string
	lock *dirlock.Lock
}

func newHome(parent string) (_ *home, err error) {
	dir, err := os.MkdirTemp(parent, homePattern)
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.discard())
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // as root, Postgres runs as another user
		return nil, err
	}
	if h.lock, err = dirlock.Acquire(dir); err != nil {
		return nil, err
	}
	return h, errors.Join(os.Mkdir(h.bin(), 0o755), os.Mkdir(h.logs(), 0o755))
}

func (h *home) bin() string  { return filepath.Join(h.dir, "bin") }
func (h *home) logs() string { return filepath.Join(h.dir, "logs") }
func (h *home) data() string { return filepath.Join(h.dir, "data") }

// discard removes it.
func (h *home) discard() error {
	return errors.Join(h.lock.Release(), os.RemoveAll(h.dir)) // Windows removes no open file
}

// keep leaves what tells why a demo failed, out of reach of sweep: all but the programs.
func (h *home) keep() error {
	return errors.Join(h.lock.Release(), os.Remove(filepath.Join(h.dir, dirlock.FileName)), os.RemoveAll(h.bin()))
}

// sweep removes what killed demos have left below parent: directories of this user
// that a demo has marked by its lock, and that no process holds.
func sweep(ctx context.Context, parent string) error {
	left, err := filepath.Glob(filepath.Join(parent, homePattern))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range left {
		errs = append(errs, sweepOne(ctx, dir))
	}
	return errors.Join(errs...)
}

func sweepOne(ctx context.Context, dir string) error {
	if !ours(dir) || !ours(filepath.Join(dir, dirlock.FileName)) {
		return nil
	}
	lock, err := dirlock.Acquire(dir)
	if err != nil {
		return nil // in use
	}
	h := &home{dir: dir, lock: lock}
	if _, err := os.Stat(h.data()); err == nil {
		if err := embedded.Discard(ctx, h.data()); errors.Is(err, embedded.ErrInUse) {
			return lock.Release() // its servers outlived it
		} else if err != nil {
			return errors.Join(fmt.Errorf("a killed demo has left %s: %w", dir, err), lock.Release())
		}
	}
	fmt.Println("· removing what a killed demo has left in", dir)
	return h.discard()
}
