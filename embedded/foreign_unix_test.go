//go:build unix

package embedded_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asof-dev/asof/embedded"
)

// byHand starts a server on the data of a stack that was stopped, as somebody would
// who looks for something: with the given arguments, in that directory.
func byHand(t *testing.T, dir, in string, args ...string) (pid int) {
	t.Helper()
	data := filepath.Join(dir, "postgres", "data")
	cmd := exec.Command(filepath.Join(postgresBin(t), "postgres"), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stderr = t.Output()
	cmd.Dir, cmd.SysProcAttr = in, &syscall.SysProcAttr{Setpgid: true}
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid, Groups: []uint32{owner.Gid}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Errorf("the server that was started by hand has ended: %v", err)
		}
		<-ended
	})
	ctx := within(t)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		text, _ := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if lines := strings.Split(string(text), "\n"); lines[0] == strconv.Itoa(cmd.Process.Pid) && strings.Contains(string(text), "ready") {
			return cmd.Process.Pid
		}
		select {
		case <-ticker.C:
		case <-ended:
			t.Fatal("the server that was started by hand did not start")
		case <-ctx.Done():
			t.Fatal("the server that was started by hand is not ready")
		}
	}
}

func TestServer_started_by_hand_is_never_stopped(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	stop(t, start(t, config(t, dir)))
	data := filepath.Join(dir, "postgres", "data")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	others := []string{"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", port}
	opts, err := os.ReadFile(filepath.Join(data, "postmaster.opts"))
	if err != nil {
		t.Fatal(err)
	}
	// /path/postgres "-D" "/path/data" "-c" "name=value" …: what pg_ctl restart reads.
	_, words, _ := strings.Cut(strings.TrimSpace(string(opts)), ` "`)
	asBefore := strings.Split(strings.TrimSuffix(words, `"`), `" "`)
	for name, hand := range map[string]struct {
		in   string
		args []string
	}{
		"by path":                 {"/", append([]string{"-D", data}, others...)},
		"from its directory":      {filepath.Dir(data), append([]string{"-D", "data"}, others...)},
		"in its directory":        {data, append([]string{"-D", "."}, others...)},
		"again as it was started": {"/", asBefore},
	} {
		t.Run(name, func(t *testing.T) {
			pid := byHand(t, dir, hand.in, hand.args...)
			c := config(t, dir)
			wantRefusal(t, c, "started by hand", strconv.Itoa(pid), "pg_ctl stop")
			if err := embedded.Discard(within(t), dir); err == nil || !strings.Contains(err.Error(), "started by hand") {
				t.Errorf("discarding says %v", err)
			}
			if err := syscall.Kill(pid, 0); err != nil || gone(pid) {
				t.Errorf("it was stopped: %v", err)
			}
			text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
			if err != nil || !strings.HasPrefix(string(text), strconv.Itoa(pid)+"\n") {
				t.Errorf("its file is %q, %v: it would end for that", text, err)
			}
		})
	}
	start(t, config(t, dir)) // when it has ended
}

func TestDiscard_removes_what_an_ended_program_left(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	program := startProgram(t, dir)
	if err := embedded.Discard(within(t), dir); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("while it is used: %v", err)
	}
	connect(t, program.DatabaseURL)
	program.kill()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds nothing
		if err := embedded.Discard(within(t), dir); err != nil {
			t.Fatal(err)
		}
	}
	if !gone(program.PostgresPID) {
		t.Error("the server goes on")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "mine" {
		t.Errorf("%v is left, %v", left, err)
	}
}
