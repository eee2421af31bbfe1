//go:build !linux

package redistest

import "syscall"

// dieWithParent does nothing: only Linux can end a server with the test that started it.
func dieWithParent() *syscall.SysProcAttr { return nil }
