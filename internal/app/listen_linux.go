package app

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets another process with the same user bind the port, too.
func reusePort(_, _ string, conn syscall.RawConn) (err error) {
	controlErr := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}

// preferNewest selects the second of the two sockets of a port, which is the newer one. While there is no second one,
// the kernel takes the first. Without this, connections in the queue of the older socket would be reset when it closes.
func preferNewest(l *net.TCPListener) error {
	conn, err := l.SyscallConn()
	if err != nil {
		return err
	}
	filter := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1}
	program := unix.SockFprog{Len: 1, Filter: &filter}
	controlErr := conn.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program)
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
