package embeddedtest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
)

// Backup is a copy of a server's files at one moment. It goes at the end of the test.
type Backup struct {
	dir      string
	settings settings
	config   pgserver.Config
	archive  string // of the server that it was made of
}

// Backup copies the files of the server: of one that runs as pg_basebackup does, of
// one that was stopped as they are.
func (s *TestServer) Backup() *Backup {
	s.t.Helper()
	place, err := newScratch("backup-*")
	if err != nil {
		s.t.Fatalf("embeddedtest: no backup: %v", err)
	}
	s.t.Cleanup(func() {
		if err := place.remove(); err != nil {
			s.t.Errorf("embeddedtest: remove %s: %v", place.dir, err)
		}
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), startWait)
	defer cancel()
	if s.running != nil {
		err = s.running.Backup(ctx, place.dir)
	} else {
		err = pgserver.BackupStopped(s.config, place.dir)
	}
	if err != nil {
		s.t.Fatalf("embeddedtest: no backup: %v", err)
	}
	return &Backup{dir: place.dir, settings: s.settings, config: s.config, archive: s.place.archive()}
}

// Restore puts a backup in the place of the server's data and starts it, at the same
// address: those who read and write through it meet the past. What was there is gone,
// but for its archive; see [RecoverTo].
func (s *TestServer) Restore(b *Backup, options ...ServerOption) {
	s.t.Helper()
	s.Stop()
	if err := pgserver.RemoveData(s.config); err != nil {
		s.t.Fatalf("embeddedtest: restore: %v", err)
	}
	s.config.Install = b.config.Install
	s.begin(b, s.settings.with(options))
}

// Server starts a server of its own on the backup, at an address of its own: as the
// copy of a production database for a test system.
func (b *Backup) Server(t testing.TB, options ...ServerOption) *TestServer {
	t.Helper()
	place, err := newScratch("server-*")
	if err != nil {
		t.Fatalf("embeddedtest: no server: %v", err)
	}
	server := &TestServer{t: t, place: place, config: b.config}
	server.cleanUp()
	server.config.Dir, server.config.Port = filepath.Clean(place.server()), 0
	server.begin(b, b.settings.with(options))
	return server
}

// Copy is a server of its own on a backup made now.
func (s *TestServer) Copy(options ...ServerOption) *TestServer {
	s.t.Helper()
	return s.Backup().Server(s.t, options...)
}

// begin starts the server on a backup.
func (s *TestServer) begin(b *Backup, with settings) {
	s.t.Helper()
	config := s.config
	config.Template, config.Recovery = b.dir, with.recovery
	if config.Recovery != nil && !config.Recovery.Standby {
		config.Recovery.Settings["restore_command"] = restoreCommand(b.archive)
	}
	if err := with.apply(&config, s.place); err != nil {
		s.t.Fatalf("embeddedtest: %v", err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), startWait)
	defer cancel()
	running, err := pgserver.Start(ctx, config)
	if err != nil {
		s.t.Fatalf("embeddedtest: start the server on a backup: %v", err)
	}
	with.recovery, config.Recovery = nil, nil // done, and kept in the data where it lasts
	s.settings, s.config = with, config
	s.isUp(running)
}
