//go:build unix

package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/asof-dev/asof/internal/dirs"
)

// account is the user that the server runs as when we are root, which
// PostgreSQL refuses to be. nil: the user that we are.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount is the owner of the data when this process is root: a user postgres may
// have come or gone since it was made. For new data it is postgres, else nobody.
func serverAccount(data string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(data); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			return &account{name: userName(stat.Uid), uid: stat.Uid, gid: stat.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, err
		}
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as: run this as an ordinary user")
}

// userName is the name of a user, else the number.
func userName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(number); err == nil {
		return found.Username
	}
	return number
}

func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{a.gid}}
}

// own gives path to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// canEnter reports the first directory on the way to dir that the account
// cannot pass: a clearer error than what initdb would say.
func (a *account) canEnter(dir string) error {
	if a == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := a.canEnter(parent); err != nil {
			return err
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	need := os.FileMode(0o001)
	switch {
	case stat.Uid == a.uid:
		need = 0o100
	case stat.Gid == a.gid:
		need = 0o010
	}
	if info.Mode().Perm()&need == 0 {
		return fmt.Errorf("as root the server runs as user %s, which may not enter %s: choose a directory outside it, or let others pass it: chmod o+x %s", a.name, dir, dir)
	}
	return nil
}

// MakeOwned makes a directory that belongs to the server's user.
func MakeOwned(dir string) error {
	a, err := serverAccount(dir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return a.own(dir)
}

// MakeDir makes a directory of ours: as root others may pass it, as the server's user
// must, else it is nobody else's business. One that holds nothing but our parts (names
// or patterns) and is closed to that user was made by another part: it is opened. A
// directory that this user cannot write to is refused by the name of its owner.
func MakeDir(dir string, parts ...string) error {
	if os.Geteuid() != 0 {
		return errors.Join(dirs.Make(dir, 0o700), writable(dir))
	}
	if err := dirs.Make(dir, 0o755); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid != 0 || info.Mode().Perm()&0o001 != 0 || !holdsOnly(dir, parts) {
		return nil // canEnter says what to do
	}
	return os.Chmod(dir, info.Mode().Perm()|0o011)
}

// holdsOnly tells that there is something, and all of it is ours.
func holdsOnly(dir string, parts []string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if !slices.ContainsFunc(parts, func(part string) bool {
			ours, _ := filepath.Match(part, entry.Name())
			return ours
		}) {
			return false
		}
	}
	return len(entries) > 0
}

func writable(dir string) error {
	const write = 2
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || syscall.Access(dir, write) == nil {
		return nil
	}
	return fmt.Errorf("%s belongs to user %s and cannot be written to: run this as that user, or choose another directory (ASOF_DIR)", dir, userName(stat.Uid))
}
