package dirlock_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/asof-dev/asof/internal/dirlock"
)

func TestHeld_directory_is_refused_by_the_name_of_its_owner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := dirlock.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dirlock.Acquire(dir)
	held := (*dirlock.HeldError)(nil)
	if !errors.As(err, &held) || held.Dir != dir || held.PID != os.Getpid() {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), dir+" is in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("the error is %v", err)
	}
	for range 2 { // the second one does nothing
		if err := lock.Release(); err != nil {
			t.Fatal(err)
		}
	}
	again, err := dirlock.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestWait_gets_the_directory_after_its_owner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := dirlock.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dirlock.Wait(ended, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	got := make(chan error, 1)
	go func() {
		next, err := dirlock.Wait(t.Context(), dir)
		got <- errors.Join(err, next.Release())
	}()
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestDirectory_that_is_missing_is_an_error(t *testing.T) {
	t.Parallel()
	if _, err := dirlock.Acquire(t.TempDir() + "/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
