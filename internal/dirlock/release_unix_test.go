//go:build unix

package dirlock

import (
	"syscall"
	"testing"
)

// A child between fork and exec has every open file of its parent.
func TestRelease_does_not_wait_for_a_child_that_is_being_started(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	child, err := syscall.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(child)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	next, err := Acquire(dir)
	if err != nil {
		t.Fatalf("a released directory: %v", err)
	}
	if err := next.Release(); err != nil {
		t.Fatal(err)
	}
}
