package embedded_test

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// gone tells whether a process has ended, or waits to be reaped by whoever took
// it over.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z"))
}

func TestServer_never_runs_as_root(t *testing.T) {
	t.Parallel()
	stack := start(t, config(t, newDir(t)))
	info, err := os.Stat(fmt.Sprintf("/proc/%d", stack.PostgresPID()))
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	t.Logf("we are user %d, the server is user %d", os.Geteuid(), owner)
	if owner == 0 {
		t.Error("the server runs as root")
	}
}

// The server is told to stop by its program's end alone, before any next start.
func TestServer_ends_with_its_program(t *testing.T) {
	t.Parallel()
	program := startProgram(t, newDir(t))
	program.kill()
	ctx := within(t)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !gone(program.PostgresPID) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("the server goes on")
		}
	}
}
