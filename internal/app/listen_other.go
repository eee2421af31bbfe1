//go:build !linux

package app

import (
	"errors"
	"net"
	"syscall"
)

func reusePort(_, _ string, _ syscall.RawConn) error {
	return errors.New("QRGATE_REUSE_PORT needs Linux")
}

func preferNewest(*net.TCPListener) error { return nil }
