//go:build !linux

package apicurio

import "syscall"

// attributes of the registry: none. Ctrl-C reaches it too, which is as well, since
// here it does not end with us.
func attributes() *syscall.SysProcAttr { return nil }
