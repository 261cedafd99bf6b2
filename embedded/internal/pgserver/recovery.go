package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/asof-dev/asof/internal/pg"
)

// Recovery is how a copy of a server goes on.
type Recovery struct {
	Standby  bool              // it follows another one until it is promoted; else it recovers to a target
	Settings map[string]string // where from and to what
}

// What tells a server at its start to recover by an archive, and to follow another.
const (
	recoverySignal = "recovery.signal"
	standbySignal  = "standby.signal"
)

// awaitRecovered waits until a server that recovers by an archive takes writes: before,
// it lets in those who read. A standby is left to its primary.
func (s *Server) awaitRecovered(ctx context.Context) error {
	if s.config.Recovery == nil || s.config.Recovery.Standby {
		return nil
	}
	conn, err := s.Connect(ctx, User)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	recovered, err := poll(ctx, readyWait, func() bool {
		var recovers bool
		err := conn.QueryRow(ctx, `SELECT pg_is_in_recovery()`).Scan(&recovers)
		return err == nil && !recovers || s.ended()
	})
	switch {
	case err != nil:
		return err
	case s.ended():
		return &exitError{state: s.cmd.ProcessState, log: tail(s.config.log(), 0)}
	case !recovered:
		return fmt.Errorf("the server has not recovered after %s, its log says:\n%s", readyWait, tail(s.config.log(), 0))
	}
	return nil
}

// write puts it into a data directory. Settings of an earlier recovery may stand
// there already: the last of a name counts, and two targets are refused.
func (r *Recovery) write(data string, a *account) error {
	if r == nil {
		return nil
	}
	signal := recoverySignal
	if r.Standby {
		signal = standbySignal
	}
	signal = filepath.Join(data, signal)
	if err := errors.Join(os.WriteFile(signal, nil, 0o600), a.own(signal)); err != nil {
		return err
	}
	var lines strings.Builder
	for _, target := range []string{"", "_lsn", "_name", "_time", "_xid"} {
		lines.WriteString("recovery_target" + target + " = ''\n")
	}
	for name, value := range r.Settings {
		// Literal would write a backslash as it is, which these files take for an escape.
		lines.WriteString(name + " = " + pg.Literal(strings.ReplaceAll(value, `\`, `\\`)) + "\n")
	}
	return appendTo(filepath.Join(data, "postgresql.auto.conf"), lines.String())
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}
