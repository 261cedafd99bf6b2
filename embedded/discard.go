package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/dirlock"
)

// Discard removes the directory of a Stack whose program has ended, with all data. A
// server that the program left there is stopped first. One in use is refused with an
// [ErrInUse], and so is one with a server that was started by hand.
func Discard(ctx context.Context, dir string) error {
	if err := discard(ctx, dir); err != nil {
		return fmt.Errorf("embedded: discard %s: %w", dir, err)
	}
	return nil
}

func discard(ctx context.Context, dir string) error {
	kafka := filepath.Join(dir, kafkaName)
	lock, err := dirlock.Acquire(kafka)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	postgres := filepath.Join(dir, postgresName)
	if _, statErr := os.Stat(postgres); statErr == nil {
		if err := pgserver.Discard(ctx, pgserver.Config{Dir: postgres}); err != nil {
			return errors.Join(err, lock.Release())
		}
	}
	// Released first, since Windows removes no open file.
	return errors.Join(lock.Release(), os.RemoveAll(kafka), removeEmpty(dir))
}

// removeEmpty leaves what is not ours.
func removeEmpty(dir string) error {
	err := os.Remove(dir)
	if left, readErr := os.ReadDir(dir); errors.Is(err, fs.ErrNotExist) || readErr == nil && len(left) > 0 {
		return nil
	}
	return err
}
