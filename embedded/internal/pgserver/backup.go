package pgserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/asof-dev/asof/internal/dirlock"
)

// Backup copies the running server into the directory to, which exists and is empty:
// from there, as a Config.Template, a server begins that recovers to the end of the
// backup.
func (s *Server) Backup(ctx context.Context, to string) (err error) {
	conn, err := s.Connect(ctx, User)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }() // an unfinished backup ends with its session
	if _, err := conn.Exec(ctx, `SELECT pg_backup_start('asof', true)`); err != nil {
		return err
	}
	from, data := s.config.data(), filepath.Join(to, dataName)
	if err := copyTree(from, data, s.account, ofRunning, insideWAL); err != nil {
		return err
	}
	label, err := backupLabel(ctx, conn)
	if err != nil {
		return err
	}
	// The log is copied last, since it must reach to the end of the backup.
	const wal = "pg_wal"
	if err := copyTree(filepath.Join(from, wal), filepath.Join(data, wal), s.account); err != nil {
		return err
	}
	file := filepath.Join(data, "backup_label")
	return errors.Join(os.WriteFile(file, []byte(label), 0o600), s.account.own(file), copyPassword(s.config, to))
}

// backupLabel ends the backup. Without the label a server would begin at the wrong
// place of its log.
func backupLabel(ctx context.Context, conn *pgx.Conn) (label string, err error) {
	err = conn.QueryRow(ctx, `SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)`).Scan(&label)
	return label, err
}

// BackupStopped copies a server that does not run.
func BackupStopped(c Config, to string) (err error) {
	lock, err := dirlock.Acquire(c.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	a, err := serverAccount(c.data())
	if err != nil {
		return err
	}
	return errors.Join(copyTree(c.data(), filepath.Join(to, dataName), a, ofProcess), copyPassword(c, to))
}

func copyPassword(c Config, to string) error {
	return copyFile(c.password(), filepath.Join(to, passwordName), 0o600)
}

// ofProcess is what tells of a server's process.
func ofProcess(below string) bool { return below == pidName || below == "postmaster.opts" }

// ofRunning is what belongs to a running server alone.
func ofRunning(below string) bool {
	if ofProcess(below) {
		return true
	}
	for _, dir := range []string{"pg_replslot", "pg_stat_tmp", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans"} {
		if strings.HasPrefix(below, dir+string(filepath.Separator)) {
			return true
		}
	}
	return strings.HasPrefix(filepath.Base(below), "pgsql_tmp")
}

func insideWAL(below string) bool {
	return strings.HasPrefix(below, "pg_wal"+string(filepath.Separator)) && filepath.Base(below) != "archive_status"
}

// RemoveData removes the data of a server that does not run; the next Start makes it
// anew.
func RemoveData(c Config) (err error) {
	lock, err := dirlock.Acquire(c.Dir)
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(c.data()), lock.Release())
}
