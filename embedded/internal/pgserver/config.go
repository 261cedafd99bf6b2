// Package pgserver runs one PostgreSQL server of ours in a directory.
package pgserver

import (
	"log/slog"
	"path/filepath"
	"strconv"

	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

// Config says what to run and where.
type Config struct {
	Dir      string        // everything of this server lies here; made when missing
	Install  pgbin.Install // the programs
	Port     int           // 0: the one of last time, else a free one
	Template string        // a directory made by MakeTemplate or a backup, to copy; empty: initdb
	Volatile bool          // no fsync: quick, and safe against all but a crash of the machine. For tests
	Settings []string      // further settings, "name=value"; they win over ours and over postgresql.conf
	Logger   *slog.Logger

	// Recovery is what the copy of a Template is to recover as and to; nil: as after a
	// crash.
	Recovery *Recovery
}

// What lies in the directory of a server. Only data belongs to the server's
// user; the rest stays ours.
const (
	dataName     = "data"
	passwordName = "password"
	portName     = "port"
	logName      = "postgres.log"
	startedName  = "started" // the number of the last server that we started
)

func (c Config) data() string     { return filepath.Join(c.Dir, dataName) }
func (c Config) password() string { return filepath.Join(c.Dir, passwordName) }
func (c Config) portFile() string { return filepath.Join(c.Dir, portName) }
func (c Config) log() string      { return filepath.Join(c.Dir, logName) }
func (c Config) started() string  { return filepath.Join(c.Dir, startedName) }

func (c Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

// clusterName marks our servers: it stands in their command line. That alone does not
// make one ours, since pg_ctl starts a server again as it was started before.
const clusterName = "asof"

// keptWAL is what a backup or a standby of a server for tests may lag behind.
const keptWAL = "256MB"

// arguments of the postgres program. They win over postgresql.conf.
func (c Config) arguments(port int) []string {
	settings := []string{
		"cluster_name=" + clusterName,
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=",
		"max_connections=200",
		"max_prepared_transactions=20",
		"wal_level=logical",
		"timezone=UTC",
		"log_timezone=UTC",
		"lc_messages=C", // we read the log
		"logging_collector=off",
		"log_destination=stderr",
	}
	if c.Volatile {
		// Commits still reach the system before they are acknowledged
		// (synchronous_commit stays on), so a killed server loses none.
		settings = append(settings, "fsync=off", "full_page_writes=off", "wal_keep_size="+keptWAL)
	}
	args := []string{"-D", c.data()}
	for _, setting := range append(settings, c.Settings...) {
		args = append(args, "-c", setting)
	}
	return args
}
