//go:build unix

package embedded_test

import (
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

// The other tests run as whoever runs them; this one runs as an ordinary user,
// in that user's default directories, also when the tests run as root.
func TestStack_runs_as_an_ordinary_user(t *testing.T) {
	t.Parallel()
	home := newDir(t)
	program := filepath.Join(home, "program")
	copyProgram(t, program)
	cmd := exec.CommandContext(within(t), program)
	cmd.Dir = home
	cmd.Env = []string{
		taskVariable + "=" + proveTask, "HOME=" + home, "PATH=" + os.Getenv("PATH"),
		"ASOF_PG_BIN=" + postgresBin(t), // not fetched once more
	}
	if os.Geteuid() == 0 {
		nobody := lookUp(t, "nobody")
		if err := os.Chown(home, int(nobody.Uid), int(nobody.Gid)); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.Stat(filepath.Join(home, ".local", "state", "asof", "postgres", "data"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := data.Sys().(*syscall.Stat_t).Uid; owner == 0 {
		t.Error("the data belongs to root")
	}
}

// As root the data must lie where the server's user may enter.
func TestRoot_is_told_of_a_closed_directory(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(newDir(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	c := config(t, filepath.Join(closed, "data"))
	c.Brokers = []string{"127.0.0.1:1"}
	if os.Geteuid() != 0 {
		start(t, c) // the server's user is its owner
		return
	}
	wantRefusal(t, c, "may not enter "+closed)
}

// postgresBin is where the tests have their PostgreSQL from.
func postgresBin(t *testing.T) string {
	t.Helper()
	env := embedded.FromEnv()
	cache, err := pgbin.CacheDir(env.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	finder := pgbin.Finder{Bin: env.PostgresBin, Cache: cache, Repository: env.Repository, System: pgbin.SystemDirs()}
	install, err := finder.Find(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return install.Dir
}

// copyProgram copies the test binary: only its owner may enter where it lies.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, from); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
}

func lookUp(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	found, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{uint32(gid)}}
}
