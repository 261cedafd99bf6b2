// Package dirlock lets one process at a time own a directory.
//
// The lock belongs to the open file, so the system releases it when its
// process ends, however it ends. The file itself stays: removing it would let
// two processes lock two files of the same name.
package dirlock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/asof-dev/asof/internal/wait"
)

// FileName is the name of the lock file inside the directory.
const FileName = "lock"

// pollEvery is how often a waiting caller tries again.
const pollEvery = 20 * time.Millisecond

// errHeld is what tryLock reports when another open file holds the lock.
var errHeld = errors.New("held")

// ErrInUse matches every [HeldError].
var ErrInUse = errors.New("directory in use")

// HeldError says that another process owns the directory.
type HeldError struct {
	Dir string
	PID int // 0 when the owner has not written its number yet
}

// Error names the directory and the process that owns it.
func (e *HeldError) Error() string {
	owner := "another process"
	if e.PID != 0 {
		owner = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s is in use by %s: stop that process, or choose another directory", e.Dir, owner)
}

// Is makes errors.Is(err, ErrInUse) true.
func (e *HeldError) Is(target error) bool { return target == ErrInUse }

// Lock is the ownership of a directory.
type Lock struct{ file *os.File }

// Acquire takes dir, which must exist, or returns a *HeldError at once.
func Acquire(dir string) (*Lock, error) {
	path := filepath.Join(dir, FileName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(file); err != nil {
		defer file.Close()
		if errors.Is(err, errHeld) {
			return nil, &HeldError{Dir: dir, PID: readPID(path)}
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := writePID(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &Lock{file: file}, nil
}

// Wait is Acquire that waits for the present owner, until ctx ends.
func Wait(ctx context.Context, dir string) (*Lock, error) {
	for {
		lock, err := Acquire(dir)
		if held := (*HeldError)(nil); !errors.As(err, &held) {
			return lock, err
		}
		if ended := wait.For(ctx, pollEvery); ended != nil {
			return nil, fmt.Errorf("%w (%w)", err, ended)
		}
	}
}

// Release gives the directory up. A second call does nothing.
//
// It unlocks before it closes: a program that is being started at this moment
// has the open file too until it becomes another program, and closing ours
// alone would leave it locked for as long.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	err := errors.Join(unlock(l.file), l.file.Close())
	l.file = nil
	return err
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
