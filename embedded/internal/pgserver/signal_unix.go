//go:build unix

package pgserver

import (
	"errors"
	"syscall"

	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

// strength of a stop request to a server.
type strength = syscall.Signal

const (
	fast      = syscall.SIGINT  // ends the sessions, writes a checkpoint
	immediate = syscall.SIGQUIT // ends at once, recovers from the log at the next start
	kill      = syscall.SIGKILL // its backends notice a moment later
)

// send asks the server process pid to stop; one that is gone is no error.
func send(_ pgbin.Install, pid int, how strength) error {
	if err := syscall.Kill(pid, how); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
