package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// stopWait is how long a process may take to stop when it is asked to.
const stopWait = 40 * time.Second

// process is one that runs until it is stopped.
type process struct {
	name    string
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	err     error         // then: how
	wanted  bool          // guarded by mu: its end is no accident
	mu      sync.Mutex
	logPath string
}

// launch starts a process whose standard error goes to a file, and its standard
// output too unless output is given. What ends unasked is sent to ended.
//
// On Linux the process is told to stop when the thread that started it ends, so that
// none outlives the demo however it ends: hence the thread of its own.
func launch(name, logs string, output *output, ended chan<- *process, environment []string, program string, args ...string) (*process, error) {
	p := &process{name: name, done: make(chan struct{}), logPath: filepath.Join(logs, name+".log")}
	file, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(ownEnvironment(), environment...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = file, file, attributes()
	if output != nil {
		p.cmd.Stdout = output
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer file.Close()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.done)
		if !p.isWanted() {
			if p.err == nil {
				p.err = fmt.Errorf("it returned; see %s", p.logPath)
			}
			ended <- p
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) isWanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted
}

func (p *process) want() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
}

// kill is kill -9. It returns when the process is gone.
func (p *process) kill() error {
	p.want()
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.done
	return nil
}

// stop asks the process to stop and waits; it must end with exit code 0. With
// early, it may have been stopped before it was up: with 130, or by the signal.
func (p *process) stop(early bool) error {
	p.want()
	if err := p.cmd.Process.Signal(stopSignal); err != nil {
		select {
		case <-p.done: // it has ended already
			return nil
		default:
			return fmt.Errorf("stop %s: %w", p.name, err)
		}
	}
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); p.err != nil && (!early || code != exitInterrupted && code != -1) {
			return fmt.Errorf("%s did not stop as it should: %w", p.name, p.err)
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("%s did not stop within %s: %w", p.name, stopWait, p.kill())
	}
}

// output gives the first line that a process writes, and drops the rest.
type output struct {
	line chan []byte // of one place
	buf  []byte
	sent bool
}

func newOutput() *output { return &output{line: make(chan []byte, 1)} }

func (o *output) Write(b []byte) (int, error) {
	if !o.sent {
		o.buf = append(o.buf, b...)
		if line, _, ok := bytes.Cut(o.buf, []byte("\n")); ok {
			o.line <- line
			o.sent, o.buf = true, nil
		}
	}
	return len(b), nil
}

// ownEnvironment is ours without what names other servers: the demo fills its own, and
// no others.
func ownEnvironment() []string { return slices.DeleteFunc(os.Environ(), namesServer) }

func namesServer(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return name == "DATABASE_URL" || name == "KAFKA_BROKERS" || strings.HasPrefix(name, "PG")
}

// forgetOtherServers does the same for what this process itself connects to.
func forgetOtherServers() {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); namesServer(entry) {
			_ = os.Unsetenv(name) // fails for an empty name only
		}
	}
}

// once runs a program to its end and returns what it wrote.
func once(environment []string, program string, args ...string) (stdout, stderr []byte, err error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(ownEnvironment(), environment...)
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	if err := cmd.Run(); err != nil {
		return out.Bytes(), diagnostics.Bytes(), fmt.Errorf("%s %v: %w\n%s", filepath.Base(program), args, err, diagnostics.Bytes())
	}
	return out.Bytes(), diagnostics.Bytes(), nil
}
