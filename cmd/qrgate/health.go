package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// healthCommand asks a running gateway whether it is ready: the health check of a container without a shell.
type healthCommand struct{}

const healthTimeout = 3 * time.Second

func (healthCommand) run(ctx context.Context, c cli, adminListen string) int {
	host, port, err := net.SplitHostPort(adminListen)
	if err != nil {
		fmt.Fprintln(c.err, "qrgate: health needs the operators' address, QRGATE_ADMIN_LISTEN=host:port")
		return exitUsage
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		fmt.Fprintln(c.err, "qrgate:", err)
		return exitUsage
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		fmt.Fprintln(c.err, "qrgate: the gateway does not respond:", err)
		return exitFailed
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		fmt.Fprintf(c.err, "qrgate: the gateway is not ready: %s\n", response.Status)
		return exitFailed
	}
	fmt.Fprintln(c.out, "ready")
	return exitOK
}
