package realkafka

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/asof-dev/asof/internal/dirlock"
)

// scratch is the directory of one cluster, locked while its process lives.
type scratch struct {
	path string
	lock *dirlock.Lock
}

// newScratch makes one below parent, and removes there what clusters left whose
// process was killed.
func newScratch(ctx context.Context, parent string) (_ *scratch, err error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	// Nobody sweeps a directory that is not yet locked.
	guard, err := dirlock.Wait(ctx, parent)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, guard.Release()) }()
	left, err := filepath.Glob(filepath.Join(parent, "cluster-*"))
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		lock, err := dirlock.Acquire(path)
		if err != nil {
			continue // in use
		}
		if err := (&scratch{path, lock}).remove(); err != nil {
			return nil, err
		}
	}
	path, err := os.MkdirTemp(parent, "cluster-*")
	if err != nil {
		return nil, err
	}
	lock, err := dirlock.Acquire(path)
	return &scratch{path, lock}, err
}

// remove gives the directory up and removes it, in this order since Windows
// removes no open file.
func (s *scratch) remove() error {
	return errors.Join(s.lock.Release(), os.RemoveAll(s.path))
}
