package embeddedtest

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
)

// TestServer is a server of one test's own, which it may kill.
type TestServer struct {
	t       testing.TB
	config  pgserver.Config
	running *pgserver.Server // nil after Stop
	address string
}

// Server starts a server for this test alone. It is stopped and its data
// removed at the end of the test.
func Server(t testing.TB) *TestServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWait)
	defer cancel()
	running, config, err := newServer(ctx)
	if err != nil {
		t.Fatalf("embeddedtest: no server: %v", err)
	}
	server := &TestServer{t: t, config: config, running: running, address: running.URL(pgserver.User)}
	server.config.Port = running.Port()
	t.Cleanup(func() {
		server.Stop()
		if err := os.RemoveAll(config.Dir); err != nil {
			t.Errorf("embeddedtest: remove %s: %v", config.Dir, err)
		}
	})
	return server
}

// URL is the address, as superuser, of its maintenance database. It stays the
// same through every Restart.
func (s *TestServer) URL() string { return s.address }

// Pool returns a pool on its maintenance database; it is closed at the end of
// the test.
func (s *TestServer) Pool() *pgxpool.Pool {
	s.t.Helper()
	return newPool(s.t, s.address)
}

// PID is the number of the server's process, 0 after Kill or Stop.
func (s *TestServer) PID() int {
	if s.running == nil {
		return 0
	}
	return s.running.PID()
}

// Kill kills the server as a crash would, with kill -9, and returns when the
// process is gone. Its sessions notice a moment later.
func (s *TestServer) Kill() {
	s.t.Helper()
	if s.running == nil {
		return
	}
	if err := s.running.Kill(); err != nil {
		s.t.Fatalf("embeddedtest: kill the server: %v", err)
	}
	s.Stop() // gives the directory up
}

// Stop ends the server's sessions and stops it cleanly.
func (s *TestServer) Stop() {
	s.t.Helper()
	if s.running == nil {
		return
	}
	if err := s.running.Close(); err != nil {
		s.t.Fatalf("embeddedtest: stop the server: %v", err)
	}
	s.running = nil
}

// Restart starts the server again after Kill or Stop, on the same data, port
// and address, and returns when it accepts connections.
func (s *TestServer) Restart() {
	s.t.Helper()
	s.Stop()
	ctx, cancel := context.WithTimeout(s.t.Context(), startWait)
	defer cancel()
	running, err := pgserver.Start(ctx, s.config)
	if err != nil {
		s.t.Fatalf("embeddedtest: start the server again: %v", err)
	}
	s.running = running
}
