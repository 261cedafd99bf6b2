package pgserver

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// copyTree copies directories and plain files, which is all that a data directory
// without tablespaces has, and gives them to the account. What skip names, by its
// path below from, is left out; what goes away under way, too.
func copyTree(from, to string, a *account, skip ...func(below string) bool) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != from {
			return nil
		}
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		for _, left := range skip {
			if left(below) {
				return nil
			}
		}
		err = copyEntry(path, filepath.Join(to, below), entry, a)
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := os.Lstat(path); gone != nil {
				return nil
			}
		}
		return err
	})
}

func copyEntry(path, target string, entry fs.DirEntry, a *account) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch {
	case entry.IsDir():
		if err = os.Mkdir(target, info.Mode().Perm()); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	case info.Mode().IsRegular():
		err = copyFile(path, target, info.Mode().Perm())
	default:
		err = fmt.Errorf("%s is neither a file nor a directory", path)
	}
	if err != nil {
		return err
	}
	return a.own(target)
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
