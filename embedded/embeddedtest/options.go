package embeddedtest

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"

	"github.com/asof-dev/asof/embedded/internal/pgserver"
)

// ServerOption changes a server of a test's own.
type ServerOption func(*settings)

type settings struct {
	major    int
	own      bool // initdb, no template
	archived bool
	set      []string
	recovery *pgserver.Recovery
}

// Major makes it a server of that major version: 15 is fetched as the usual one is, so
// that an upgrade can be walked everywhere; others have to be on the machine.
func Major(version int) ServerOption { return func(s *settings) { s.major = version } }

// Setting starts it with that setting, at every start: ("synchronous_commit", "off").
// Two to a name: the last counts. What may change while it runs, or is to be set once a
// standby is there, is for [TestServer.Set].
func Setting(name, value string) ServerOption {
	return func(s *settings) { s.set = append(s.set, name+"="+value) }
}

// OwnIdentity gives the server a system identifier of its own. The others are copies of
// one template and share it, as the copies of a production server do.
func OwnIdentity() ServerOption { return func(s *settings) { s.own = true } }

// Archived lets the server archive its log, so that [TestServer.Restore] and
// [TestServer.Copy] can bring it to a moment after the backup: see [RecoverTo].
func Archived() ServerOption { return func(s *settings) { s.archived = true } }

// RecoverTo lets a server that begins with a [Backup] of an [Archived] one go on from
// there by its archive, and stop where a setting says:
//
//	server.Restore(backup, embeddedtest.RecoverTo("recovery_target_time", "2026-11-26 07:42:40.123456+00"))
//	server.Restore(backup, embeddedtest.RecoverTo("recovery_target_name", "before")) // of pg_create_restore_point
//	server.Restore(backup, embeddedtest.RecoverTo("recovery_target_inclusive", "off"), embeddedtest.RecoverTo("recovery_target_xid", "800"))
//	server.Restore(backup, embeddedtest.RecoverTo("recovery_target_timeline", "latest")) // to the end of the archive
//
// It is then promoted: its timeline is another.
func RecoverTo(setting, value string) ServerOption {
	return func(s *settings) {
		if s.recovery == nil {
			s.recovery = &pgserver.Recovery{Settings: map[string]string{"recovery_target_action": "promote"}}
		}
		s.recovery.Settings[setting] = value
	}
}

func (s settings) with(options []ServerOption) settings {
	s.set = append([]string{}, s.set...)
	if s.recovery != nil {
		s.recovery = &pgserver.Recovery{Standby: s.recovery.Standby, Settings: maps.Clone(s.recovery.Settings)}
	}
	for _, option := range options {
		option(&s)
	}
	return s
}

// config is that of a new server in a place.
func (s settings) config(ctx context.Context, place *scratch) (pgserver.Config, error) {
	install, template, err := programs(ctx, s.major, !s.own)
	config := pgserver.Config{Dir: place.server(), Install: install, Template: template, Volatile: true}
	if err != nil {
		return config, err
	}
	return config, s.apply(&config, place)
}

// apply puts the settings of the server's start into its configuration.
func (s settings) apply(config *pgserver.Config, place *scratch) error {
	config.Settings = s.set
	if !s.archived {
		return nil
	}
	if err := pgserver.MakeOwned(place.archive()); err != nil {
		return err
	}
	// Under another name first: what lies there under its own is whole.
	copyTo := `cp "%%p" "%[1]s/%%f.part" && mv "%[1]s/%%f.part" "%[1]s/%%f"`
	if runtime.GOOS == "windows" {
		copyTo = `copy "%%p" "%[1]s\%%f"`
	}
	config.Settings = append([]string{"archive_mode=on", "archive_command=" + fmt.Sprintf(copyTo, place.archive())}, s.set...)
	return nil
}

// restoreCommand takes the log from an archive.
func restoreCommand(archive string) string {
	if runtime.GOOS == "windows" {
		return fmt.Sprintf(`copy "%s" "%%p"`, filepath.Join(archive, "%f"))
	}
	return fmt.Sprintf(`cp "%s" "%%p"`, filepath.Join(archive, "%f"))
}
