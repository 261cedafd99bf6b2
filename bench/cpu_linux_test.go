package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The time of a worker that ends is not lost, or a round would cost less than nothing.
func TestOfFamily_counts_processes_that_have_ended(t *testing.T) {
	t.Parallel()
	// The shell is in the place of Postgres: its child works until it has used about a second.
	shell := exec.CommandContext(t.Context(), "sh", "-c", `
		read go
		sh -c 'ulimit -t 1; while :; do :; done'
		echo ended
		read go`)
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	before := ofFamily(shell.Process.Pid)
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("ended\n"))
	if n, err := out.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "ended") {
		t.Fatalf("%q: %v", answer, err)
	}
	if after := ofFamily(shell.Process.Pid); after-before < 100*time.Millisecond {
		t.Errorf("a child worked for about a second and ended: %s, before it %s", after, before)
	}
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	if err := shell.Wait(); err != nil {
		t.Error(err)
	}
}
