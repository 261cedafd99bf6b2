package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/internal/dirlock"
)

// readyWait is how long a server may take to accept connections; recovering
// after a kill is the long case.
const readyWait = 60 * time.Second

// Server is a running server.
type Server struct {
	config   Config
	account  *account
	lock     *dirlock.Lock
	password string
	port     int
	pool     *pgxpool.Config // see PoolConfig
	cmd      *exec.Cmd
	done     chan struct{} // closed when the process has ended and is reaped

	closing  sync.Once
	closeErr error
}

// PID is the number of the server's process, the postmaster.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Port is where it listens on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Done is closed when the process has ended, however it did.
func (s *Server) Done() <-chan struct{} { return s.done }

// URL is the superuser's address of a database.
func (s *Server) URL(database string) string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(User, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// Kill kills the process without warning, as a crash would, and waits until it
// is gone. Close is still needed.
func (s *Server) Kill() error {
	if s.ended() { // the number may be another process's by now
		return nil
	}
	if err := send(s.config.Install, s.PID(), kill); err != nil {
		return err
	}
	<-s.done
	return nil
}

// Close stops the server (sessions are ended, a checkpoint is written) and
// gives its directory up. It takes at most half a minute; a second call
// returns what the first did.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.closeErr = errors.Join(stop(context.Background(), s.config, s.PID(), s.ended), s.lock.Release())
	})
	return s.closeErr
}

func (s *Server) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// exitError says that the server ended instead of accepting connections.
type exitError struct {
	state *os.ProcessState
	log   string // the last lines
}

func (e *exitError) Error() string {
	return fmt.Sprintf("the server did not start (%s), its log says:\n%s", e.state, e.log)
}

// oldBackends: those of a killed server still live.
func (e *exitError) oldBackends() bool {
	return strings.Contains(e.log, "pre-existing shared memory block")
}

func (e *exitError) portTaken() bool {
	return strings.Contains(e.log, "could not create any TCP/IP sockets")
}

// launch starts the process and waits until it accepts connections.
func (s *Server) launch(ctx context.Context, port int) error {
	log, begin, err := openLog(s.config.log())
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own handle
	cmd := exec.Command(s.config.Install.Program("postgres"), s.config.arguments(port)...)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = environment(), rootDir(s.config.Dir), attributes(s.account, true)
	cmd.Stdout, cmd.Stderr = log, log
	s.cmd, s.port, s.done = cmd, port, make(chan struct{})
	started := make(chan error)
	go s.own(cmd, started)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	if err := os.WriteFile(s.config.started(), []byte(strconv.Itoa(s.PID())), 0o600); err != nil {
		return errors.Join(err, s.Kill())
	}
	if err := s.awaitReady(ctx, begin); err != nil {
		// Nothing has connected, so nothing is lost by the strongest stop.
		return errors.Join(err, s.Kill())
	}
	return nil
}

// own starts the process and waits for its end. It keeps its thread, because
// on Linux the server is told to stop when the thread that started it ends:
// so that this is when our process does, however it ends.
func (s *Server) own(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread() // and never unlocked
	defer close(s.done)
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // the state is kept in cmd
	}
}

func (s *Server) awaitReady(ctx context.Context, logBegin int64) error {
	var pidErr error
	ready, err := poll(ctx, readyWait, func() bool {
		var file pidFile
		file, pidErr = readPIDFile(s.config.data())
		return s.ended() || file.ready && file.pid == s.PID()
	})
	switch {
	case err != nil:
		return err
	case s.ended():
		return &exitError{state: s.cmd.ProcessState, log: tail(s.config.log(), logBegin)}
	case !ready:
		return fmt.Errorf("the server was not ready after %s: %w, its log says:\n%s",
			readyWait, errors.Join(context.DeadlineExceeded, pidErr), tail(s.config.log(), logBegin))
	}
	if err := s.ping(ctx); err != nil {
		return err
	}
	return s.awaitRecovered(ctx)
}

// ping proves that the port is our server's and the password right.
func (s *Server) ping(ctx context.Context) error {
	if err := s.readConnection(); err != nil {
		return err
	}
	conn, err := s.Connect(ctx, User)
	if err != nil {
		return fmt.Errorf("the server runs but does not let us in: %w", err)
	}
	return conn.Close(ctx)
}
