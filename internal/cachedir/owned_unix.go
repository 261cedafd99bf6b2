//go:build unix

package cachedir

import (
	"fmt"
	"os"
	"syscall"
)

// checkOwned refuses a directory that another user could have filled: programs
// are run from it.
func checkOwned(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that this user alone can write to: remove it, or set ASOF_CACHE", dir)
	}
	return nil
}
