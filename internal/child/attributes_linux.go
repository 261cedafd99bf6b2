package child

import "syscall"

// attributes of a child: a process group of its own, so that Ctrl-C reaches
// us and not it, and its end with that of the thread that started it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
