package pgserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/asof-dev/asof/embedded/internal/dirs"
	"github.com/asof-dev/asof/embedded/internal/pgbin"
	"github.com/asof-dev/asof/internal/dirlock"
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
	if err := dirs.Make(dir, 0o755); err != nil {
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
	config := Config{Dir: dir, Install: install, Volatile: true}
	a, err := serverAccount(config.data())
	if err != nil {
		return "", err
	}
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
	if err := c.Recovery.write(data, a); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(c.Template, passwordName), c.password(), 0o600); err != nil {
		return err
	}
	return os.Rename(data, c.data())
}
