package pgserver

import (
	"errors"
	"os"

	"github.com/asof-dev/asof/internal/dirs"
)

// account is always nil: Windows has no user to change to.
type account struct{}

func serverAccount(string) (*account, error) { return nil, nil }
func (a *account) own(string) error          { return nil }
func (a *account) canEnter(string) error     { return nil }

// MakeOwned makes a directory that belongs to the server's user.
func MakeOwned(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// MakeDir makes a directory of ours.
func MakeDir(dir string, _ ...string) error { return dirs.Make(dir, 0o700) }
