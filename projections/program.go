package projections

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"
)

// WithProgram names the program, such as by its release, where a stopped rebuild is to
// be taken up by another binary that fills the tables alike. By default it is the
// executable.
func WithProgram(name string) Option { return func(p *Projector) { p.program = name } }

// A build that was stopped is taken up by the program that filled it, and dropped by any
// other: what Apply does may have changed, and half of the rows would be of the old.
// Nobody can see what a function does, so a program is its executable, and within one
// process the definition that New was given.

// identity is what is written into the books.
func (p *Projector) identity() (string, error) {
	if p.program != "" {
		return "named " + p.program, nil
	}
	sum, err := executable()
	if err != nil {
		return "", fmt.Errorf("projections: read the executable, by which a stopped rebuild is known: %w: name the program (WithProgram)", err)
	}
	return fmt.Sprintf("%s %d %s", sum, p.process, p.Def.Instance), nil
}

// filledBy reports whether the build of such a program may be taken up by this one.
func (p *Projector) filledBy(program string) bool {
	mine, err := p.identity()
	if err != nil || mine == program || p.program != "" {
		return err == nil && mine == program
	}
	its, own := strings.Fields(program), strings.Fields(mine)
	return len(its) == 3 && its[0] == own[0] && its[1] != own[1]
}

// executable hashes the program's file.
func executable() (string, error) {
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
}

// newInstance tells two definitions of one process apart.
func newInstance() string { return uuid.NewString() }
