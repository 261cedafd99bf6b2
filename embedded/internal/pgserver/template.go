package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/asof-dev/asof/embedded/internal/dirlock"
	"github.com/asof-dev/asof/embedded/internal/pgbin"
)

// MakeTemplate returns a directory below cache with a fresh data directory of
// this version and its password, for Config.Template: copying it is much
// quicker than initdb. Copies share the password and the system identifier.
// It is made once; any number of processes may call it at once.
func MakeTemplate(ctx context.Context, install pgbin.Install, cache string) (string, error) {
	dir := filepath.Join(cache, "template-"+strconv.Itoa(install.Major)+"-"+pathSafe(install.Version))
	if _, err := os.Stat(filepath.Join(dir, dataName)); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := dirlock.Wait(ctx, dir)
	if err != nil {
		return "", err
	}
	defer lock.Release()
	if _, err := os.Stat(filepath.Join(dir, dataName)); err == nil { // another process was first
		return dir, nil
	}
	a, err := serverAccount()
	if err != nil {
		return "", err
	}
	config := Config{Dir: dir, Install: install, Volatile: true}
	if err := errors.Join(a.canEnter(dir), a.canEnter(install.Dir)); err != nil {
		return "", err
	}
	return dir, initialise(ctx, config, a)
}

// pathSafe keeps letters, digits and dots.
func pathSafe(text string) string {
	safe := []rune(text)
	for i, r := range safe {
		if r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			safe[i] = '_'
		}
	}
	return string(safe)
}

// copyTemplate copies the password and the data directory, which appears
// whole, by a rename.
func copyTemplate(c Config, a *account) error {
	if err := sweepInit(c.Dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp(c.Dir, initPattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	data := filepath.Join(work, dataName)
	if err := copyTree(filepath.Join(c.Template, dataName), data, a); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(c.Template, passwordName), c.password(), 0o600); err != nil {
		return err
	}
	return os.Rename(data, c.data())
}

// copyTree copies directories and plain files, which is all that a fresh data
// directory has, and gives them to the account.
func copyTree(from, to string, a *account) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			err = os.Mkdir(target, info.Mode().Perm())
		case info.Mode().IsRegular():
			err = copyFile(path, target, info.Mode().Perm())
		default:
			err = fmt.Errorf("%s is neither a file nor a directory", path)
		}
		return errors.Join(err, a.own(target))
	})
}

func copyFile(from, to string, mode os.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
