package embeddedtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
	"github.com/asof-dev/asof/internal/pg"
	"github.com/asof-dev/asof/internal/wait"
)

// TestServer is a server of one test's own, which it may kill, back up and restore.
type TestServer struct {
	t        testing.TB
	place    *scratch
	settings settings
	config   pgserver.Config
	running  *pgserver.Server // nil after Stop
	last     *pgserver.Server // how to connect, also after Stop
	address  string
}

// Server starts a server for this test alone. It is stopped and its data
// removed at the end of the test.
func Server(t testing.TB, options ...ServerOption) *TestServer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWait)
	defer cancel()
	with := settings{}.with(options)
	running, config, place, err := newServer(ctx, with)
	if err != nil {
		t.Fatalf("embeddedtest: no server: %v", err)
	}
	server := &TestServer{t: t, place: place, settings: with, config: config}
	server.isUp(running)
	server.cleanUp()
	return server
}

func (s *TestServer) cleanUp() {
	s.t.Cleanup(func() {
		s.Stop()
		if err := s.place.remove(); err != nil {
			s.t.Errorf("embeddedtest: remove %s: %v", s.place.dir, err)
		}
	})
}

// isUp takes the server that was started: its port is kept from now on.
func (s *TestServer) isUp(running *pgserver.Server) {
	s.running, s.last, s.address = running, running, running.URL(pgserver.User)
	s.config.Port = running.Port()
}

// URL is the address, as superuser, of its maintenance database. It stays the
// same through every Restart and Restore.
func (s *TestServer) URL() string { return s.address }

// Pool returns a pool on its maintenance database; it is closed at the end of
// the test.
func (s *TestServer) Pool() *pgxpool.Pool {
	s.t.Helper()
	return newPool(s.t, s.last.PoolConfig(pgserver.User))
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
	s.isUp(running)
}

// Set changes a setting while the server runs, and returns when new sessions see it
// (ALTER SYSTEM). One that was given by [Setting] stays as it was given.
func (s *TestServer) Set(name, value string) {
	s.t.Helper()
	statement := `ALTER SYSTEM SET ` + pg.Quote(strings.Split(name, ".")...) + ` = ` + pg.Literal(value)
	before := s.ask(`SELECT pg_conf_load_time()::text`)
	for _, sql := range []string{statement, `SELECT pg_reload_conf()`} {
		if err := execute(s.t.Context(), s.last.PoolConfig(pgserver.User), sql); err != nil {
			s.t.Fatalf("embeddedtest: %s: %v", sql, err)
		}
	}
	s.await("the settings are read anew", func() bool { return s.ask(`SELECT pg_conf_load_time()::text`) != before })
}

// ask returns what a query of one row says.
func (s *TestServer) ask(query string) (answer string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), stopWait)
	defer cancel()
	conn, err := s.last.Connect(ctx, pgserver.User)
	if err != nil {
		s.t.Fatalf("embeddedtest: %v", err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, query).Scan(&answer); err != nil {
		s.t.Fatalf("embeddedtest: %s: %v", query, err)
	}
	return answer
}

// await polls.
func (s *TestServer) await(what string, holds func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), stopWait)
	defer cancel()
	for !holds() {
		if wait.For(ctx, 10*time.Millisecond) != nil {
			s.t.Fatalf("embeddedtest: not within %s: %s", stopWait, what)
		}
	}
}
