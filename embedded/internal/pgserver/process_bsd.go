//go:build unix && !linux

package pgserver

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// attributes of a child: a process group of its own, so that Ctrl-C reaches
// us and not it. Here no signal tells it of our end: the next start stops it.
func attributes(a *account, _ bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: a.credential()}
}

// commandLine of a process, "" when it is gone or a zombie.
func commandLine(pid int) string {
	out, err := exec.Command("ps", "-ww", "-p", strconv.Itoa(pid), "-o", "stat=,command=").Output()
	if err != nil {
		return ""
	}
	state, line, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(line)
}

// workingDir of a process, "" when it cannot be had. A server's is its data
// directory.
func workingDir(pid int) string {
	out, err := exec.Command("lsof", "-a", "-p", strconv.Itoa(pid), "-d", "cwd", "-F", "n").Output()
	if err != nil {
		return ""
	}
	_, dir, _ := strings.Cut(string(out), "\nn")
	return strings.TrimSpace(strings.SplitN(dir, "\nn", 2)[0])
}
