package serve_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asof-dev/asof/command"
	"github.com/asof-dev/asof/embedded/embeddedtest"
	"github.com/asof-dev/asof/services/internal/serve"
)

// app is a service whose reaction is told when to end, and with what.
type app struct {
	react func(ctx context.Context) error
}

func (a app) Handler() http.Handler           { return http.NotFoundHandler() }
func (a app) React(ctx context.Context) error { return a.react(ctx) }

// start runs `serve`; its standard output is a text that more is added to.
func start(t testing.TB, react func(ctx context.Context) error, arguments ...string) (stop func(), ended <-chan int, out, log *output) {
	t.Helper()
	return begin(t, map[string]string{
		"DATABASE_URL": embeddedtest.Database(t), "KAFKA_BROKERS": strings.Join(embeddedtest.Brokers(t), ","),
	}, react, arguments...)
}

func begin(t testing.TB, env map[string]string, react func(ctx context.Context) error, arguments ...string) (stop func(), ended <-chan int, out, log *output) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	root := serve.Root(command.Service{Name: "shop"}, "127.0.0.1:0", func(serve.Config) serve.App { return app{react} })
	end := make(chan int, 1)
	out, log = &output{}, &output{}
	go func() {
		end <- command.Run(ctx, root, command.Invocation{Args: append([]string{"serve"}, arguments...), Env: env, Stdout: out, Stderr: log})
	}()
	return stop, end, out, log
}

// wait fails a command that does not end.
func wait(t testing.TB, ended <-chan int) int {
	t.Helper()
	select {
	case code := <-ended:
		return code
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
		return 0
	}
}

// A service that answers but no longer reacts looks well and is not.
func TestServe_ends_when_its_reaction_fails(t *testing.T) {
	t.Parallel()
	for name, react := range map[string]func(context.Context) error{
		"at once":    func(context.Context) error { return errors.New("the topic is gone") },
		"in silence": func(context.Context) error { return nil }, // nobody has stopped it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ended, out, log := start(t, react)
			if code := wait(t, ended); code != command.ExitFailure {
				t.Errorf("exit code %d: %s%s", code, out, log)
			}
			address := strings.TrimSpace(strings.TrimPrefix(out.String(), "listening on http://"))
			if conn, err := net.Dial("tcp", address); err == nil {
				_ = conn.Close()
				t.Error("it still listens on " + address)
			}
		})
	}
}

func TestServe_stops_its_reaction_and_ends_well(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	stop, ended, _, log := start(t, func(ctx context.Context) error {
		close(begun)
		<-ctx.Done()
		return nil
	})
	select {
	case <-begun:
	case code := <-ended:
		t.Fatalf("it ended with %d: %s", code, log)
	}
	stop()
	if code := wait(t, ended); code != command.ExitOK {
		t.Errorf("exit code %d: %s", code, log)
	}
}

// What is wrong with the address is told by the exit code, and never as a database
// that is away.
func TestServe_refuses_an_address_that_is_none(t *testing.T) {
	t.Parallel()
	never := func(context.Context) error { return errors.New("it went on") }
	for _, address := range []string{"foo", "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:-1", "::1:80", "[::1", "1:2:3", "http://127.0.0.1:80"} {
		_, ended, _, log := begin(t, nil, never, "--listen", address) // before anything else is asked for
		if code := wait(t, ended); code != command.ExitUsage || !strings.Contains(log.String(), "host:port") {
			t.Errorf("%q: exit code %d: %s", address, code, log)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]int{taken.Addr().String(): command.ExitBusy, "192.0.2.1:0": command.ExitUsage, "nowhere.invalid:0": command.ExitUsage} {
		_, ended, _, log := start(t, never, "--listen", address)
		if code := wait(t, ended); code != want || !strings.Contains(log.String(), "choose another host:port") {
			t.Errorf("%s: exit code %d instead of %d: %s", address, code, want, log)
		}
	}
}

// output is what a command has written so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
