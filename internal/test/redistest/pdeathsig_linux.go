package redistest

import "syscall"

// dieWithParent lets the kernel kill the server when this process ends: a test that panics or times out runs no
// cleanup.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
