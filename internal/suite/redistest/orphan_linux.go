package redistest

import "syscall"

// withUs has the kernel kill the server when this process ends, however it ends: a test that panics or runs
// out of time cleans nothing up.
func withUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
