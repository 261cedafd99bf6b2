package rebuild

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// A build that was stopped is taken up by the program that filled it, and dropped by any
// other: what Apply does may have changed, and half of the rows would be of the old.
// Nobody can see what a function does, so a program is its executable, and within one
// process the definition that New was given.

// Program is who fills a build.
type Program struct {
	Name     string // empty: the executable
	Process  int
	Instance string // of the definition in this process
}

// identity is what is written into the books.
func (p Program) identity() (string, error) {
	if p.Name != "" {
		return "named " + p.Name, nil
	}
	sum, err := executable()
	if err != nil {
		return "", fmt.Errorf("projections: read the executable, by which a stopped rebuild is known: %w: name the program (WithProgram)", err)
	}
	return fmt.Sprintf("%s %d %s", sum, p.Process, p.Instance), nil
}

// filledBy reports whether the build of such a program may be taken up by this one.
func (p Program) filledBy(program string) bool {
	mine, err := p.identity()
	if err != nil || mine == program || p.Name != "" {
		return err == nil && mine == program
	}
	its, own := strings.Fields(program), strings.Fields(mine)
	return len(its) == 3 && its[0] == own[0] && its[1] != own[1]
}

// executable hashes the program's file, once: it is the one that runs, whatever becomes of the
// file.
//
//nolint:gochecknoglobals // of the process
var executable = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	file, err := os.Open(path) //nolint:gosec // its own
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
})
