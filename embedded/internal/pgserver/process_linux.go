package pgserver

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// attributes of a child: a process group of its own, so that Ctrl-C reaches
// us and not it; and for the server the signal of a fast shutdown when the
// thread that started it ends (see Server.own).
func attributes(a *account, diesWithUs bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Credential: a.credential()}
	if diesWithUs {
		attr.Pdeathsig = syscall.SIGINT
	}
	return attr
}

// commandLine of a process, arguments separated by spaces; "" when it is gone.
// A zombie counts as gone: where nobody reaps orphans it stays for ever.
func commandLine(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// "pid (name) state …", and the name may hold anything.
	_, state, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	if strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
		return ""
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
}

// workingDir of a process, "" when it cannot be had. A server's is its data
// directory.
func workingDir(pid int) string {
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return ""
	}
	return dir
}
