// Command qrgate is the gateway: it stands before a WhatsApp session engine, or is one itself, and makes
// create, connect and QR dependable.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set at build time with -ldflags "-X main.version=…".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, world{args: os.Args[1:], env: os.Environ(), out: os.Stdout, err: os.Stderr}))
}
