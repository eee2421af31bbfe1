//go:build unix

package main

import "syscall"

// disableCoreDumps keeps keys and codes, which are in memory, out of files.
func disableCoreDumps() error { return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
