// Package child starts processes that end with ours, however that ends.
package child

import (
	"os/exec"
	"runtime"
)

// Start starts a process, and returns a channel that is closed when it has ended: its state is in
// cmd then.
func Start(cmd *exec.Cmd) (done <-chan struct{}, err error) {
	cmd.SysProcAttr = attributes()
	started, ended := make(chan error), make(chan struct{})
	go own(cmd, started, ended)
	return ended, <-started
}

// own starts the process and waits for its end. It keeps its thread, because on Linux the
// process is killed when the thread that started it ends: so that this is when ours does.
func own(cmd *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread() // and never unlocked
	defer close(ended)
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // the state is kept in cmd
	}
}
