//go:build unix

package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server runs as when we are root, which
// PostgreSQL refuses to be. nil: the user that we are.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount is postgres, else nobody, when this process is root.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
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
		return fmt.Errorf("as root the server runs as user %s, which may not enter %s: choose a directory outside it", a.name, dir)
	}
	return nil
}

// MakeOwned makes a directory that belongs to the server's user.
func MakeOwned(dir string) error {
	a, err := serverAccount()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return a.own(dir)
}
