//go:build unix && !linux

package main

import (
	"os"
	"syscall"
)

// stopSignal asks a process to stop gracefully.
var stopSignal os.Signal = syscall.SIGTERM

// attributes give a child a process group of its own, so that Ctrl-C reaches the demo
// alone, which stops the children in order.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
