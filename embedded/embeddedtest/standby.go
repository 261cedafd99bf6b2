package embeddedtest

import (
	"fmt"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
)

// Standby starts a server that follows this one by streaming until it is promoted, and
// answers queries that only read. The name is its application_name, by which
// synchronous_standby_names and pg_stat_replication call it:
//
//	primary := embeddedtest.Server(t)
//	standby := primary.Standby("s1")
//	primary.Set("synchronous_standby_names", "ANY 1 (s1)")
//	…
//	primary.Kill()
//	standby.Promote()
//
// It returns when the standby streams.
func (s *TestServer) Standby(name string, options ...ServerOption) *TestServer {
	s.t.Helper()
	backup := s.Backup()
	follow := &pgserver.Recovery{Standby: true, Settings: map[string]string{"primary_conninfo": s.conninfo(name)}}
	standby := backup.Server(s.t, append([]ServerOption{func(with *settings) { with.recovery = follow }}, options...)...)
	s.AwaitStandby(name)
	return standby
}

// AwaitStandby returns when a standby of that name streams and has all that this server
// has written until now.
func (s *TestServer) AwaitStandby(name string) {
	s.t.Helper()
	head := s.ask(`SELECT pg_current_wal_flush_lsn()::text`)
	s.await("standby "+name+" has caught up", func() bool {
		return s.ask(fmt.Sprintf(`SELECT coalesce(bool_or(state = 'streaming' AND replay_lsn >= '%s'), false)::text
			FROM pg_stat_replication WHERE application_name = '%s'`, head, name)) == "true"
	})
}

// Promote ends the following: the standby takes writes, on a timeline of its own.
func (s *TestServer) Promote() {
	s.t.Helper()
	if s.ask(`SELECT pg_promote(true, 60)::text`) != "true" {
		s.t.Fatal("embeddedtest: the standby was not promoted")
	}
}

// TakeAddress stops this server and starts it at the address of another, which was
// stopped or killed: as a failover behind one address does.
func (s *TestServer) TakeAddress(of *TestServer) {
	s.t.Helper()
	if of.running != nil {
		s.t.Fatal("embeddedtest: the server whose address is taken still runs")
	}
	s.config.Port = of.config.Port
	s.Restart()
	if s.address != of.address {
		s.t.Fatalf("embeddedtest: the address is %s: take that of a server with the same data", s.address)
	}
}

// conninfo is how a standby of that name connects to this server.
func (s *TestServer) conninfo(name string) string {
	c := s.last.PoolConfig(pgserver.User).ConnConfig
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s sslmode=disable application_name=%s", c.Port, c.User, c.Password, name)
}
