package pgserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// pidName is the file in which a server keeps its number, its shared memory
// key and its state.
const pidName = "postmaster.pid"

// pidFile is what we read of it.
type pidFile struct {
	pid   int
	ready bool // it accepts connections
}

// readPIDFile returns the zero value when there is none.
func readPIDFile(data string) (pidFile, error) {
	text, err := os.ReadFile(filepath.Join(data, pidName))
	if errors.Is(err, fs.ErrNotExist) {
		return pidFile{}, nil
	} else if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 { // just being written
		return pidFile{}, nil
	}
	const stateLine = 7
	return pidFile{pid: pid, ready: len(lines) > stateLine && strings.TrimSpace(lines[stateLine]) == "ready"}, nil
}

// disownPIDFile puts our own number in place of one that belongs to no server
// of this directory (a zombie, or an unrelated process after a restart of the
// machine or container), because PostgreSQL takes every living process of its
// user for a server. It takes its parent's number for stale, and then still
// looks whether old backends use the shared memory that the file names, which
// removing the file would prevent.
func disownPIDFile(data string) error {
	root, err := os.OpenRoot(data) // the directory is the server user's: follow no link of theirs
	if err != nil {
		return err
	}
	defer root.Close()
	file, err := root.OpenFile(pidName, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer file.Close()
	text, err := root.ReadFile(pidName)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	text = []byte(fmt.Sprintf("%d\n%s", os.Getpid(), rest))
	if _, err := file.WriteAt(text, 0); err != nil {
		return err
	}
	return file.Truncate(int64(len(text)))
}
