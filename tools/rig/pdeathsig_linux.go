package rig

import "syscall"

// dieWithParent has the kernel end a program when this program ends, however it ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
