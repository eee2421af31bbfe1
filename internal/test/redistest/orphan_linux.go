package redistest

import "syscall"

// dieWithParent has the kernel kill the server when this process ends, however it ends: a test that panics or runs
// out of time cleans nothing up.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
