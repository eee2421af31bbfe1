//go:build !linux

package redistest

import "syscall"

// withUs does nothing here: only Linux can end a server with the test that started it.
func withUs() *syscall.SysProcAttr { return nil }
