package webtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// mainVariable makes a test's own program be the service.
const mainVariable = "ASOF_TEST_MAIN"

// Main is the TestMain of a package whose tests run its main as processes.
func Main(m *testing.M, main func()) {
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Process is a service in a process of its own.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *output
	Client Client // when it serves
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
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

// Start runs the service with a database, brokers and arguments. It is killed at the
// end of the test, if it still runs.
func Start(t testing.TB, database, brokers string, arguments ...string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], arguments...), stderr: &output{}}
	p.cmd.Env = append(os.Environ(), mainVariable+"=1", "DATABASE_URL="+database, "KAFKA_BROKERS="+brokers)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil { // the process has its own
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(reader)
	t.Cleanup(func() { _ = reader.Close() })
	return p
}

// Serve starts `serve` on a free port and returns when it says where it listens.
func Serve(t testing.TB, database, brokers string) *Process {
	t.Helper()
	p := Start(t, database, brokers, "serve", "--listen", "127.0.0.1:0", "--output", "json")
	line, err := p.stdout.ReadBytes('\n')
	var listening struct {
		URL string `json:"url"`
	}
	if err == nil {
		err = json.Unmarshal(line, &listening)
	}
	if err != nil {
		t.Fatalf("it does not serve: %v: %s%s", err, line, p.stderr)
	}
	p.Client.URL = listening.URL
	return p
}

// Stop asks it to stop as an operator does, and checks that it ends with code 0.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.End(0)
}

// End waits until it has ended, checks its code and returns its standard output and
// error.
func (p *Process) End(code int) (stdout, stderr string) {
	p.t.Helper()
	rest, err := io.ReadAll(p.stdout)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // the code says it
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("%v ended with %d instead of %d: %s%s", p.cmd.Args[1:], got, code, rest, p.stderr)
	}
	return string(rest), p.stderr.String()
}
