//go:build !linux

package realkafka

import "syscall"

// attributes of a broker: none. Ctrl-C reaches it too, which is as well, since
// here it does not end with us.
func attributes() *syscall.SysProcAttr { return nil }
