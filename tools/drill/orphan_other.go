//go:build !linux

package main

import "syscall"

// withUs does nothing here: only Linux can end a program with the drill that started it.
func withUs() *syscall.SysProcAttr { return nil }
