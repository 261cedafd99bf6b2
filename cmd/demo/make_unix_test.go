//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Ctrl-C on `make demo` and `make run` is no failure, and make says of none; all else is
// one, also when Ctrl-C brought it about.
func TestMake_takes_an_interrupt_for_no_failure(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, found := strings.Cut(string(makefile), "\nuntil_stopped = ")
	rule, _, _ = strings.Cut(rule, "\n")
	for _, target := range []string{"bin/demo", "bin/demo run"} {
		found = found && strings.Contains(string(makefile), "\t@$(call until_stopped,"+target+")\n")
	}
	if !found {
		t.Fatal("the Makefile does not run the demo by until_stopped")
	}
	const forever = "; echo ready; while :; do sleep 0.05; done"
	for name, c := range map[string]struct {
		program   string
		interrupt bool
		fails     bool
	}{
		"stopped":                {"trap 'exit 130' INT" + forever, true, false},
		"ended by itself":        {"echo ready; exit 0", false, false},
		"failed":                 {"echo ready; exit 1", false, true},
		"130 though not stopped": {"echo ready; exit 130", false, true},
		"failed when stopped":    {"trap 'exit 1' INT" + forever, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			says, err := makes(t, "until_stopped = "+rule+"\nit:\n\t@$(call until_stopped,sh ./program)\n", c.program, c.interrupt)
			if failed := strings.Contains(says, "Error"); failed != c.fails {
				t.Errorf("make ended with %v and said %q, want a failure: %t", err, says, c.fails)
			}
			if !c.interrupt && (err != nil) != c.fails {
				t.Errorf("make ended with %v", err)
			}
		})
	}
}

// makes runs the target it of a Makefile, whose program is interrupted when it is ready, as
// a terminal does: the whole process group at once. GNU make that is interrupted while it
// notices that its program has ended waits for it once more, in vain, and says nothing of
// how it ended: then all begins again.
func makes(t *testing.T, makefile, program string, interrupt bool) (says string, err error) {
	t.Helper()
	for {
		says, err = makesOnce(t, makefile, program, interrupt)
		if !interrupt || !strings.Contains(says, "*** wait: No child processes") {
			return says, err
		}
	}
}

func makesOnce(t *testing.T, makefile, program string, interrupt bool) (says string, err error) {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o600), os.WriteFile(filepath.Join(dir, "program"), []byte(program), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "it")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, append(os.Environ(), "LC_ALL=C", "MAKEFLAGS=", "MAKELEVEL=0"), &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	cmd.Stderr = &text
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("it said %q, %v: %s", line, err, text.String())
	}
	if interrupt {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	rest, _ := io.ReadAll(lines)
	err = cmd.Wait()
	return string(rest) + text.String(), err
}
