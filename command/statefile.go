package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/asof-dev/asof/es"
)

// readStates reads a file of digests.
func readStates(name string) (map[es.StreamID]stateDigest, error) {
	file, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return nil, usage("--against: %v: write it first, by the program that runs now: check-events --write %s", err, name)
	}
	defer func() { _ = file.Close() }()
	states := map[es.StreamID]stateDigest{}
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		var d stateDigest
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&d); err != nil || d.Category == "" || d.Version < 1 || d.State == "" {
			return nil, usage("--against: line %d of %s is no digest of a state: write the file anew by check-events --write", n, name)
		}
		states[es.StreamID{Category: d.Category, ID: d.ID}] = d
	}
	if err := lines.Err(); err != nil {
		return nil, usage("--against: read %s: %v", name, err)
	}
	return states, nil
}

// stateFile is a file of digests that is to be written, whole or not at all.
type stateFile struct {
	name string
	file *os.File // in its place until it is whole
}

func newStateFile(name string) (*stateFile, error) {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return nil, usage("--write: %v: name a file in a directory that can be written to", err)
	}
	return &stateFile{name, file}, nil
}

// drop leaves nothing of a file that was not written.
func (f *stateFile) drop() {
	_ = f.file.Close()
	_ = os.Remove(f.file.Name())
}

func (f *stateFile) write(states []stateDigest) (err error) {
	name, file := f.name, f.file
	out := bufio.NewWriter(file)
	encoder := json.NewEncoder(out)
	for i := range states {
		if err = encoder.Encode(states[i]); err != nil {
			break
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if failed := file.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("command: write %s: %w", name, err)
	}
	return nil
}
