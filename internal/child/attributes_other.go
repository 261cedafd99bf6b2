//go:build !linux

package child

import "syscall"

// attributes of a child: none. Ctrl-C reaches it too, which is as well, since
// here it does not end with us.
func attributes() *syscall.SysProcAttr { return nil }
