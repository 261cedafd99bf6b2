package migrations

import (
	"errors"
	"fmt"

	"github.com/asof-dev/asof/internal/pg"
)

// What a caller can tell apart; the text of an error says what to do.
var (
	// ErrInvalid is a set or a version that cannot be right.
	ErrInvalid = errors.New("migrations: invalid")
	// ErrOtherSet is a schema that holds what another set has made, or a file that was
	// changed after it was applied.
	ErrOtherSet = errors.New("migrations: another set")
	// ErrUnfinished is a file that runs outside a transaction, was begun and did not
	// finish: somebody has to look at what it did.
	ErrUnfinished = errors.New("migrations: unfinished")
)

// problem is an error of one of those kinds, with a text of its own.
type problem struct {
	kind error
	text string
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.kind }

func invalid(format string, args ...any) error {
	return &problem{ErrInvalid, fmt.Sprintf(format, args...)}
}

func otherSet(format string, args ...any) error {
	return &problem{ErrOtherSet, fmt.Sprintf(format, args...)}
}

// granted says which grant would have helped, when a right was missing.
func granted(err error, grant string) error {
	if pg.Is(err, pg.InsufficientPrivilege) {
		return fmt.Errorf("%w: %s", err, grant)
	}
	return err
}

// explain says what failed. That a table is missing is said of a file's own SQL here,
// and never means that the migrations did not run.
func explain(what string, err error) error {
	if err == nil || !pg.NotMigrated(err) {
		return pg.Explain("migrations", what, err)
	}
	return fmt.Errorf("migrations: %s: %w", what, err)
}
