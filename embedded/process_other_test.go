//go:build unix && !linux

package embedded_test

import (
	"errors"
	"syscall"
)

// gone tells whether a process has ended.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
