package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

// attributes of a child: a process group of its own, so that Ctrl-C reaches
// us and not it.
func attributes(_ *account, _ bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// commandLine is not to be had cheaply here: a process of the program postgres that
// lives counts as marked by us, since its number stands in our data directory.
func commandLine(pid int) string {
	handle, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer windows.CloseHandle(handle)
	if event, err := windows.WaitForSingleObject(handle, 0); err != nil || event != uint32(windows.WAIT_TIMEOUT) {
		return ""
	}
	path := make([]uint16, windows.MAX_LONG_PATH)
	size := uint32(len(path))
	if err := windows.QueryFullProcessImageName(handle, 0, &path[0], &size); err != nil {
		return ""
	}
	return windows.UTF16ToString(path[:size]) + " cluster_name=" + clusterName
}

// workingDir has no answer either.
func workingDir(int) string { return "" }

// strength of a stop request to a server, as pg_ctl kill names it.
type strength string

const (
	fast      strength = "INT"
	immediate strength = "QUIT"
	kill      strength = "KILL"
)

// send asks the server process pid to stop; one that is gone is no error.
func send(install pgbin.Install, pid int, how strength) error {
	if how == kill {
		process, err := os.FindProcess(pid)
		if err != nil {
			return nil // gone
		}
		return process.Kill()
	}
	out, err := exec.Command(install.Program("pg_ctl"), "kill", string(how), strconv.Itoa(pid)).CombinedOutput()
	if err != nil && commandLine(pid) != "" {
		return fmt.Errorf("pg_ctl kill: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
