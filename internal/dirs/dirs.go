// Package dirs makes the directories that a server's user must be able to enter.
package dirs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Make makes dir and its missing parents. What it makes has the mode, whatever the
// umask takes away; what is there stays as it is.
func Make(dir string, mode os.FileMode) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, mode) // says what is in the way
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := Make(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, mode); errors.Is(err, fs.ErrExist) {
		return nil // another process was first
	} else if err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// Open lets everybody read a tree and enter it, whatever the umask took away, and run
// the programs in it.
func Open(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		if mode == info.Mode().Perm() {
			return nil
		}
		return os.Chmod(path, mode)
	})
}
