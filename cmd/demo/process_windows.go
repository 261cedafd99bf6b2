package main

import (
	"os"
	"syscall"
)

// stopSignal: Windows has no signal for one process, so a child is just ended, and
// recovers at its next start.
var stopSignal os.Signal = os.Kill

func attributes() *syscall.SysProcAttr { return nil }
