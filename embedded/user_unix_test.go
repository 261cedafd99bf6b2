//go:build unix

package embedded_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/asof-dev/asof/embedded"
	"github.com/asof-dev/asof/embedded/internal/pgbin"
	"github.com/asof-dev/asof/internal/cachedir"
)

// The other tests run as whoever runs them; this one runs as an ordinary user,
// in that user's default directories, also when the tests run as root.
func TestStack_runs_as_an_ordinary_user(t *testing.T) {
	t.Parallel()
	home := newDir(t)
	if out, err := asNobody(t, home, "HOME="+home).CombinedOutput(); err != nil {
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

// prover is a program that starts a stack twice.
func prover(t *testing.T, program string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(within(t), program)
	cmd.Env = append([]string{
		taskVariable + "=" + proveTask, "PATH=" + os.Getenv("PATH"),
		"ASOF_PG_BIN=" + postgresBin(t), // not fetched once more
	}, env...)
	return cmd
}

// asNobody is such a program of an ordinary user, who gets home.
func asNobody(t *testing.T, home string, env ...string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(home, "program")
	copyProgram(t, program)
	cmd := prover(t, program, env...)
	cmd.Dir = home
	if os.Geteuid() == 0 {
		nobody := lookUp(t, "nobody")
		if err := os.Chown(home, int(nobody.Uid), int(nobody.Gid)); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	}
	return cmd
}

func TestUmask_does_not_close_the_directories(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	cmd := prover(t, "/bin/sh", "ASOF_DIR="+filepath.Join(dir, "a", "b"))
	cmd.Args = append(cmd.Args, "-c", `umask 077 && exec "$0"`, os.Args[0])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// The variables of libpq are for the servers that people work with. Any of these would
// make a connection fail, or another one than ours.
func TestEnvironment_of_other_servers_changes_nothing(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	for _, variables := range [][]string{
		{"PGDATA=/nowhere", "PGLOCALEDIR=/nowhere", "PGSYSCONFDIR=/nowhere", "PG_COLOR=always", "LC_ALL=nowhere", "LANG=nowhere", "TZ=Asia/Tokyo"}, // of initdb
		{"PGSERVICE=nowhere"}, {"PGSERVICEFILE=/nowhere"}, {"PGHOST=127.0.0.2", "PGPORT=1", "PGUSER=else", "PGDATABASE=nowhere", "PGPASSWORD=wrong", "PGPASSFILE=/nowhere"},
		{"PGOPTIONS=-c search_path=nowhere -c nonsense=1", "PGTZ=Asia/Tokyo", "PGAPPNAME=else", "PGCLIENTENCODING=LATIN1", "PGDATESTYLE=German"},
		{"PGSSLMODE=verify-full", "PGSSLROOTCERT=/nowhere", "PGSSLCERT=/nowhere", "PGSSLKEY=/nowhere", "PGSSLPASSWORD=wrong", "PGSSLSNI=0"},
		{"PGTARGETSESSIONATTRS=standby", "PGCHANNELBINDING=require", "PGREQUIREAUTH=none", "PGSSLNEGOTIATION=direct"},
		{"PGTARGETSESSIONATTRS=odd", "PGCHANNELBINDING=odd", "PGREQUIREAUTH=odd", "PGSSLCERTMODE=odd", "PGSSLMODE=odd", "PGPORT=odd", "PGCONNECT_TIMEOUT=odd", "PGMINPROTOCOLVERSION=9", "PGMAXPROTOCOLVERSION=odd"},
	} {
		cmd := prover(t, os.Args[0], append(variables, "ASOF_DIR="+dir)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v: %s", variables, err, out)
		}
	}
}

func TestDirectory_is_right_whichever_part_fails_first(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDir(t), "data")
	c := config(t, dir)
	c.PostgresBin = t.TempDir()
	wantRefusal(t, c, "has no program postgres")
	c = config(t, dir)
	c.KafkaPort = -1
	wantRefusal(t, c, "port")
	start(t, config(t, dir))
}

// An earlier version made the directory for the broker alone.
func TestDirectory_that_the_broker_closed_is_opened_again(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDir(t), "data")
	for _, made := range []string{dir, filepath.Join(dir, "kafka")} {
		if err := os.Mkdir(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	start(t, config(t, dir))
}

// What else lies in a closed directory stays closed to others.
func TestDirectory_that_holds_other_things_is_not_opened(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDir(t), "data")
	for _, made := range []string{dir, filepath.Join(dir, "kafka"), filepath.Join(dir, "diary")} {
		if err := os.Mkdir(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		start(t, config(t, dir)) // the server's user is its owner
	} else {
		wantRefusal(t, config(t, dir), "chmod o+x "+dir)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("it is %v now, %v", info.Mode(), err)
	}
}

// A user postgres comes with a package and goes with it.
func TestServer_runs_as_the_owner_of_its_data(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	stop(t, start(t, config(t, dir)))
	if os.Geteuid() == 0 {
		const other = 12345
		err := filepath.WalkDir(filepath.Join(dir, "postgres", "data"), func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, other, other))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	stack := start(t, config(t, dir))
	execute(t, connect(t, stack.DatabaseURL()), `CHECKPOINT`)
}

func TestDirectory_of_another_user_is_refused_by_the_name_of_its_owner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		c := config(t, "/asof-of-root")
		wantRefusal(t, c, "denied")
		return
	}
	for name, used := range map[string]string{"all": "", "of the broker": "kafka", "of the server": "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, home := newDir(t), newDir(t)
			if used != "" { // the directory is theirs, but was used as root
				stop(t, start(t, config(t, dir)))
				nobody := lookUp(t, "nobody")
				if err := os.Chown(dir, int(nobody.Uid), int(nobody.Gid)); err != nil {
					t.Fatal(err)
				}
				for _, part := range []string{"kafka", "postgres"} {
					if part != used {
						if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			out, err := asNobody(t, home, "HOME="+home, "ASOF_DIR="+dir).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "user root") && !strings.Contains(string(out), "files of another user") || !strings.Contains(string(out), "ASOF_DIR") {
				t.Errorf("%v: %s", err, out)
			}
			t.Logf("%s", out)
		})
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
	cache, err := cachedir.Dir(env.CacheDir)
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
