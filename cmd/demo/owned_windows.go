package main

import "os"

// ours: a user's temporary directory is the user's own there.
func ours(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink == 0
}
