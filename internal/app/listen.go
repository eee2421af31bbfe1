package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// firstInheritedFD is the first socket that systemd passes (sd_listen_fds(3)).
const firstInheritedFD = 3

func (a *App) listen() (err error) {
	if a.public, err = a.listener("public", 0, a.cfg.Listen); err != nil {
		return fmt.Errorf("QRGATE_LISTEN: %w; set it to a free address, as :8080", err)
	}
	if a.cfg.AdminListen == "" {
		return nil
	}
	if a.admin, err = a.listener("admin", 1, a.cfg.AdminListen); err != nil {
		return fmt.Errorf("QRGATE_ADMIN_LISTEN: %w; set it to a free address, as 127.0.0.1:8081, or to off", err)
	}
	return nil
}

// listener returns the socket that systemd passes under a name, or without names at a position; else it binds address.
func (a *App) listener(name string, position int, address string) (net.Listener, error) {
	count, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if names := os.Getenv("LISTEN_FDNAMES"); slices.Contains(strings.Split(names, ":"), name) {
		position = slices.Index(strings.Split(names, ":"), name)
	}
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && position < count {
		file := os.NewFile(uintptr(firstInheritedFD+position), name)
		defer func() { _ = file.Close() }() // the listener has a copy
		return net.FileListener(file)
	}
	config := net.ListenConfig{}
	if a.cfg.ReusePort {
		config.Control = reusePort
		config.SetMultipathTCP(false) // which lacks preferNewest
	}
	return config.Listen(context.Background(), "tcp", address)
}

// takeOver makes the kernel pass new connections to this process alone, and none to one that had the ports before.
func (a *App) takeOver() {
	for _, l := range []net.Listener{a.public, a.admin} {
		if l, ok := l.(*net.TCPListener); ok && a.cfg.ReusePort {
			if err := preferNewest(l); err != nil {
				a.cfg.Logger.Warn("an older process may reset new connections when it stops", "err", err)
			}
		}
	}
}
