//go:build !linux

package rig

import "syscall"

// dieWithParent does nothing here: only Linux can end a program with the one that started it.
func dieWithParent() *syscall.SysProcAttr { return nil }
