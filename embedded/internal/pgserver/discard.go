package pgserver

import (
	"context"
	"errors"
	"os"

	"github.com/asof-dev/asof/internal/dirlock"
)

// Discard removes the directory of a server whose program has ended, and stops
// the server first if it still runs. A directory in use is refused.
func Discard(ctx context.Context, c Config) error {
	lock, err := dirlock.Acquire(c.Dir)
	if err != nil {
		return err
	}
	if err := retireLeftover(ctx, c); err != nil {
		return errors.Join(err, lock.Release())
	}
	// Released first, since Windows removes no open file.
	return errors.Join(lock.Release(), os.RemoveAll(c.Dir))
}
