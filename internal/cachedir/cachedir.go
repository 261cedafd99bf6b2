// Package cachedir finds the directory in which fetched programs are kept.
package cachedir

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/asof-dev/asof/internal/dirs"
)

// rootCache is root's cache: the server runs as another user and must be able
// to read it, which /root does not allow.
const rootCache = "/var/cache/asof"

// Dir is the directory for fetched programs and templates, created if
// missing: override (ASOF_CACHE) if given; /var/cache/asof as root; else asof
// in the user's cache directory. When that cannot be written a directory of
// this user's in the temporary directory is used.
func Dir(override string) (string, error) {
	if override != "" {
		return makeDir(override)
	}
	preferred := rootCache
	if os.Geteuid() != 0 {
		base, err := os.UserCacheDir()
		if err != nil {
			base = "" // no HOME: as if it could not be written
		}
		preferred = filepath.Join(base, "asof")
	}
	if filepath.IsAbs(preferred) {
		if dir, err := makeDir(preferred); err == nil {
			return dir, nil
		}
	}
	dir, err := makeDir(filepath.Join(os.TempDir(), "asof-cache-"+strconv.Itoa(os.Geteuid())))
	if err != nil {
		return "", fmt.Errorf("no cache directory, set ASOF_CACHE: %w", err)
	}
	if err := checkOwned(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// makeDir creates dir and proves that it can be written to.
func makeDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := dirs.Make(dir, 0o755); err != nil {
		return "", err
	}
	probe, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return "", err
	}
	return dir, firstError(probe.Close(), os.Remove(probe.Name()))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
