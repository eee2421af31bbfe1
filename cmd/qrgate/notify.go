package main

import (
	"context"
	"fmt"
	"log/slog"

	"qrgate/internal/notify"
)

// notifyCommand sends a test message to every receiver.
type notifyCommand struct {
	Test bool `required:""`
}

func (n *notifyCommand) run(ctx context.Context, c cli, addresses string) int {
	notifier, err := notify.New(notify.Config{
		Addresses: notify.ParseAddresses(addresses), Logger: slog.New(slog.DiscardHandler),
	})
	var results []notify.Result
	if err == nil {
		results, err = notifier.Test(ctx)
	}
	if err != nil {
		fmt.Fprintln(c.err, "qrgate:", err)
		return exitUsage
	}
	exit := exitOK
	for _, r := range results {
		if r.Err != "" {
			exit = exitFailed
			fmt.Fprintf(c.out, "✗ %s: %s\n", r.Receiver, r.Err)
			continue
		}
		fmt.Fprintf(c.out, "✓ %s\n", r.Receiver)
	}
	return exit
}
