package apicurio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/asof-dev/asof/internal/child"

	"github.com/asof-dev/asof/internal/cachedir"
	"github.com/asof-dev/asof/internal/ports"
	"github.com/asof-dev/asof/internal/wait"
)

const (
	// readyWait is how long it may take until it answers: five seconds on two idle cores.
	readyWait = 2 * time.Minute
	pollEvery = 100 * time.Millisecond
	// startTries bounds the starts after a port was taken between the look for a free one and
	// its use.
	startTries = 3
	logLines   = 20
)

// Config says where things lie, and what the registry refuses.
type Config struct {
	// CacheDir keeps what is fetched. Default: that of embedded.Config.
	CacheDir string
	// Compatibility is the registry's own rule for all subjects. Default: BACKWARD.
	Compatibility string
	// Logger gets what is done. Default: slog.Default().
	Logger *slog.Logger
}

// Server is a registry that runs.
type Server struct {
	port, management int
	dir              string
	cmd              *exec.Cmd
	done             <-chan struct{} // closed when the process has ended and is reaped
	closing          sync.Once
	closeErr         error
}

// Start starts a registry and returns when it answers. ctx bounds the start alone: end the
// Server with Close. On Linux it also ends with this process, however that ends.
func Start(ctx context.Context, c Config) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Compatibility == "" {
		c.Compatibility = "BACKWARD" // without one it takes anything
	}
	server, err := start(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("apicurio: %w", err)
	}
	return server, nil
}

func start(ctx context.Context, c Config) (*Server, error) {
	cache, err := cachedir.Dir(c.CacheDir)
	if err != nil {
		return nil, err
	}
	p, err := find(ctx, cache, c.Logger)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		server, err := launch(ctx, p, c.Compatibility)
		if taken := (*portTakenError)(nil); errors.As(err, &taken) && try < startTries {
			continue
		}
		return server, err
	}
}

func launch(ctx context.Context, p program, compatibility string) (_ *Server, err error) {
	s := &Server{}
	if s.dir, err = os.MkdirTemp("", "asof-apicurio-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for s.port == s.management {
		var errs [2]error
		s.port, errs[0] = ports.Free()
		s.management, errs[1] = ports.Free()
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
	}
	if err := s.run(s.command(p, compatibility)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	return s, s.awaitReady(ctx)
}

func (s *Server) command(p program, compatibility string) *exec.Cmd {
	cmd := exec.Command(p.java, "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dquarkus.http.host=127.0.0.1", fmt.Sprintf("-Dquarkus.http.port=%d", s.port),
		"-Dquarkus.management.host=127.0.0.1", fmt.Sprintf("-Dquarkus.management.port=%d", s.management),
		"-Dapicurio.rules.global.compatibility="+compatibility,
		"-jar", filepath.Join(p.app, "quarkus-run.jar"))
	cmd.Dir = s.dir
	return cmd
}

// run starts the process, whose output is kept for errors.
func (s *Server) run(cmd *exec.Cmd) error {
	log, err := os.Create(s.log())
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own handle
	cmd.Stdout, cmd.Stderr = log, log
	done, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	s.cmd, s.done = cmd, done
	return nil
}

// portTakenError says that another process was quicker to listen.
type portTakenError struct{ log string }

func (e *portTakenError) Error() string {
	return "a port was taken before the registry could listen on it:\n" + e.log
}

func (s *Server) awaitReady(ctx context.Context) error {
	for {
		err := s.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.done:
			if log := s.tail(); strings.Contains(log, "already in use") || strings.Contains(log, "already bound") {
				return &portTakenError{log}
			}
			return fmt.Errorf("it ended (%s), its log says:\n%s", s.cmd.ProcessState, s.tail())
		default:
		}
		if over := wait.For(ctx, pollEvery); over != nil {
			return fmt.Errorf("it is not ready (%w): %w, its log says:\n%s", err, over, s.tail())
		}
	}
}

func (s *Server) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/subjects", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: readyWait}).Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

// URL is where the registry has the Confluent API.
func (s *Server) URL() string { return fmt.Sprintf("http://127.0.0.1:%d/apis/ccompat/v7", s.port) }

// Close ends the registry. A second call returns what the first did.
func (s *Server) Close() error {
	s.closing.Do(func() {
		if err := s.close(); err != nil {
			s.closeErr = fmt.Errorf("apicurio: %w", err)
		}
	})
	return s.closeErr
}

func (s *Server) close() error {
	if s.done != nil {
		if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		<-s.done
	}
	return os.RemoveAll(s.dir)
}

func (s *Server) log() string { return filepath.Join(s.dir, "registry.log") }

// tail is the end of what it has written.
func (s *Server) tail() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text))
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-logLines):], "\n")
}
