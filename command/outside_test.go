package command_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
)

// outside is the binary of a module that is not this one.
type outside struct {
	testing.TB
	binary string
	env    []string
}

// buildOutside builds testdata/ledger, with this module in the place of the released
// one and the versions that it is tested with.
func buildOutside(t *testing.T) *outside {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/ledger")); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	o := &outside{TB: t, binary: filepath.Join(dir, "ledger"), env: os.Environ()}
	o.tool(dir, "mod", "edit", "-replace", "github.com/asof-dev/asof="+root)
	o.tool(dir, "build", "-mod=mod", "-o", o.binary, ".")
	return o
}

func (o *outside) tool(dir string, args ...string) {
	o.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		o.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (o *outside) command(args ...string) (*exec.Cmd, *buffer, *buffer) {
	cmd := exec.CommandContext(o.Context(), o.binary, args...)
	out, log := newBuffer(), newBuffer()
	cmd.Env, cmd.Stdout, cmd.Stderr = o.env, out, log
	return cmd, out, log
}

// run runs the binary and wants an exit code.
func (o *outside) run(code int, args ...string) *outcome {
	o.Helper()
	cmd, out, log := o.command(args...)
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		o.Fatal(err)
	}
	result := &outcome{TB: o, args: args, code: cmd.ProcessState.ExitCode(), out: out.String(), err: log.String()}
	return result.exits(code)
}

// A service in a module of its own, with its own aggregate, read model, tables and
// commands, run as an operator would.
func TestModule_outside_of_this_one_has_all_commands(t *testing.T) {
	t.Parallel()
	o := buildOutside(t)
	o.env = append(o.env, "DATABASE_URL="+embeddedtest.Database(t))
	o.run(command.ExitNotMigrated, "status").has("`ledger migrate`")
	o.run(command.ExitOK, "migrate").has("ledger", "0001_notes.sql", "new")
	o.run(command.ExitOK, "open", "a-1", "ann")
	o.run(command.ExitOK, "deposit", "a-1", "500").has("a-1 has 500 cents")
	o.run(command.ExitFailure, "deposit", "a-2", "500").has("open it first")
	o.run(command.ExitUsage, "deposit", "a-1", "much").has("Try: ledger deposit --help")
	o.run(command.ExitUsage, "deposit", "a-1")

	o.run(command.ExitOK, "rebuild", "balances").has("balances version 1 is live: 2 events")
	o.run(command.ExitNotFound, "rebuild", "nope")
	o.run(command.ExitOK, "state", "account", "a-1").has(`"balance": 500`)
	var opened state
	o.run(command.ExitOK, "state", "account", "a-1", "--version", "1", "-o", "json").into(&opened)
	at := opened.RecordedAt.Format("2006-01-02T15:04:05.999999Z07:00")
	o.run(command.ExitOK, "state", "account", "a-1", "--at", at).has(`"owner": "ann"`, `"balance": 0`)
	o.run(command.ExitNotFound, "state", "account", "a-1", "--at", "-1h")
	o.run(command.ExitOK, "log", "account", "a-1").has("account.opened", "account.deposited")
	o.run(command.ExitOK, "log", "-o", "json").has(`"data":{"Cents":500}`)

	o.project(3, "deposit", "a-1", "11")
	var s status
	o.run(command.ExitOK, "status", "-o", "json").into(&s)
	if s.Service != "ledger" || s.Log.Events != 3 || len(s.Projections) != 1 || s.Projections[0].LagEvents != 0 {
		t.Errorf("%+v", s)
	}
}

// project runs the projector as a process, another command beside it, and stops it
// with a signal once everything up to a position is applied.
func (o *outside) project(position int, beside ...string) {
	o.Helper()
	cmd, out, log := o.command("project")
	if err := cmd.Start(); err != nil {
		o.Fatal(err)
	}
	o.run(command.ExitOK, beside...)
	until(o, "the projector has applied it", func() bool {
		var s status
		if err := json.NewDecoder(bytes.NewBufferString(o.run(command.ExitOK, "status", "-o", "json").out)).Decode(&s); err != nil {
			o.Fatal(err)
		}
		return int(s.Projections[0].Position) == position
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		o.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		o.Fatalf("project after SIGTERM: %v\n%s%s", err, out, log)
	}
}
