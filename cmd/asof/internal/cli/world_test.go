package cli_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asof-dev/asof/cmd/asof/internal/cli"
	"github.com/asof-dev/asof/command"
)

// running is an asof command under way in this process.
type running struct {
	testing.TB
	args        []string
	stop        context.CancelFunc
	done        chan int
	stdout, log *buffer
}

// start starts asof with the shipped services; the test ends it.
func start(t testing.TB, env map[string]string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &running{TB: t, args: args, stop: cancel, done: make(chan int, 1), stdout: &buffer{}, log: &buffer{}}
	all := map[string]string{}
	for _, name := range []string{"ASOF_PG_BIN", "ASOF_CACHE", "ASOF_PG_REPOSITORY"} {
		all[name] = os.Getenv(name)
	}
	maps.Copy(all, env)
	go func() {
		r.done <- command.Run(ctx, cli.New(cli.Shipped()...), command.Invocation{
			Args: args, Env: all, Stdin: strings.NewReader(""), Stdout: r.stdout, Stderr: r.log,
		})
	}()
	return r
}

// exits waits for the command, and wants its exit code and texts that it printed.
func (r *running) exits(code int, texts ...string) {
	r.Helper()
	select {
	case got := <-r.done:
		if got != code {
			r.Fatalf("asof %v: exit code %d, want %d\n%s%s", r.args, got, code, r.stdout, r.log)
		}
	case <-time.After(time.Minute):
		r.Fatalf("asof %v does not end\n%s%s", r.args, r.stdout, r.log)
	}
	for _, text := range texts {
		if !strings.Contains(r.stdout.String()+r.log.String(), text) {
			r.Errorf("asof %v does not say %q:\n%s%s", r.args, text, r.stdout, r.log)
		}
	}
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// until polls a condition.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}
