package pgserver

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/asof-dev/asof/internal/wait"
)

// How long a server that we stop may take for each strength.
const (
	fastWait      = 15 * time.Second
	immediateWait = 6 * time.Second
	killWait      = 5 * time.Second
	pollEvery     = 10 * time.Millisecond
)

// ForeignServerError says that a server which we did not start uses our data
// directory.
type ForeignServerError struct {
	Data string
	PID  int
}

// Error names the directory and the server's process.
func (e *ForeignServerError) Error() string {
	return fmt.Sprintf("%s is in use by a PostgreSQL server that was started by hand, process %d: stop it first, by pg_ctl stop -D %s", e.Data, e.PID, e.Data)
}

// retireLeftover deals with the server that an ended program left running in
// the data directory, if any. We hold the directory's lock, so its program is
// gone; on Linux it is stopping already.
func retireLeftover(ctx context.Context, c Config) error {
	left, err := readPIDFile(c.data())
	if err != nil || left.pid == 0 {
		return err
	}
	switch line := commandLine(left.pid); {
	case !serves(left.pid, line, c.data()):
		return disownPIDFile(c.data())
	case !strings.Contains(line, "cluster_name="+clusterName) || !startedByUs(c, left.pid):
		return &ForeignServerError{Data: c.data(), PID: left.pid}
	}
	c.logger().InfoContext(ctx, "stopping the server that an ended program left", "pid", left.pid, "dir", c.Dir)
	gone := func() bool {
		now, err := readPIDFile(c.data())
		return err == nil && now.pid != left.pid || commandLine(left.pid) == ""
	}
	if err := stop(ctx, c, left.pid, gone); err != nil {
		return err
	}
	// A killed one leaves its file, and where nobody reaps it a zombie.
	if now, err := readPIDFile(c.data()); err != nil || now.pid != left.pid {
		return err
	}
	return disownPIDFile(c.data())
}

// startedByUs tells whether the last server that a program of ours started in the
// directory is that process.
func startedByUs(c Config, pid int) bool {
	text, err := os.ReadFile(c.started())
	return err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(pid)
}

// serves tells whether the process with that command line is a server on data. One of
// which that cannot be known counts as such: taking its file away would end it.
func serves(pid int, line, data string) bool {
	if !strings.Contains(line, "postgres") {
		return false
	}
	dir := workingDir(pid)
	return dir == "" || dir == data || strings.Contains(line, data)
}

// stop asks with growing strength until gone, which it polls.
func stop(ctx context.Context, c Config, pid int, gone func() bool) error {
	for _, try := range []struct {
		how   strength
		limit time.Duration
	}{{fast, fastWait}, {immediate, immediateWait}, {kill, killWait}} {
		if gone() {
			return nil
		}
		if err := send(c.Install, pid, try.how); err != nil {
			return fmt.Errorf("stop server process %d: %w", pid, err)
		}
		ended, err := poll(ctx, try.limit, gone)
		if ended || err != nil {
			return err
		}
		c.logger().WarnContext(ctx, "the server is slow to stop, asking again", "pid", pid, "signal", fmt.Sprint(try.how))
	}
	return fmt.Errorf("server process %d does not end: stop it by hand", pid)
}

// poll waits until done reports true, at most for limit.
func poll(ctx context.Context, limit time.Duration, done func() bool) (bool, error) {
	for end := time.Now().Add(limit); !done(); {
		if time.Now().After(end) {
			return false, nil
		}
		if err := wait.For(ctx, pollEvery); err != nil {
			return false, err
		}
	}
	return true, nil
}
