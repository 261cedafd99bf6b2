package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// User is the superuser of our servers.
const User = "postgres"

const initPattern = "init-*" // where initdb works until its result is moved

// initialise makes c.Dir's password and data directory. The data directory
// appears whole, by a rename, and after its password.
func initialise(ctx context.Context, c Config, a *account) error {
	if err := sweepInit(c.Dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp(c.Dir, initPattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	password := rand.Text()
	// A second copy, since initdb runs as the server's user and must read it.
	pwfile := filepath.Join(work, passwordName)
	if err := os.WriteFile(pwfile, []byte(password), 0o600); err != nil {
		return err
	}
	if err := errors.Join(a.own(work), a.own(pwfile)); err != nil {
		return err
	}
	data := filepath.Join(work, dataName)
	if err := initdb(ctx, c, a, data, pwfile); err != nil {
		return err
	}
	if err := os.WriteFile(c.password(), []byte(password), 0o600); err != nil {
		return err
	}
	return os.Rename(data, c.data())
}

func initdb(ctx context.Context, c Config, a *account, data, pwfile string) error {
	args := []string{
		"--pgdata=" + data, "--username=" + User, "--pwfile=" + pwfile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums",
	}
	if c.Install.Major >= 17 {
		args = append(args, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	} else {
		args = append(args, "--locale=C")
	}
	if c.Volatile {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, c.Install.Program("initdb"), args...)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = environment(), rootDir(c.Dir), attributes(a, false)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(string(out), logLines))
	}
	return nil
}

// sweepInit removes what a killed initdb left.
func sweepInit(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, initPattern))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// environment of the programs: ours without what would steer PostgreSQL.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") && !strings.HasPrefix(entry, "LANG") {
			env = append(env, entry)
		}
	}
	return append(env, "LC_ALL=C", "TZ=UTC")
}

// rootDir is a working directory that every user may be in; ours may be closed
// to the server's user.
func rootDir(dir string) string { return filepath.VolumeName(dir) + string(filepath.Separator) }
