package main

import "syscall"

// dieWithParent has the kernel end a program when the drill ends, however it ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
