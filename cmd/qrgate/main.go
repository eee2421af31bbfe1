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
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		ends = append(ends, syscall.SIGHUP) // the terminal is gone, and what was begun at an engine is not
	}
	signal.Ignore(syscall.SIGPIPE) // likewise of whoever read what is printed; the write that fails is told to those who mind
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	os.Exit(run(ctx, cli{args: os.Args[1:], env: os.Environ(), out: os.Stdout, err: os.Stderr}))
}
