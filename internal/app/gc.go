package app

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

const (
	gcInterval    = 2 * time.Second
	manyWaiters   = 1000
	manyGCPercent = 50 // while many requests wait
)

// tuneGC collects garbage earlier while many requests wait, unless GOGC is set. Their memory is mostly net/http's buffers
// and stacks, beside which Go's default lets as much garbage grow: 42 KiB per waiting request, and 33 with 50 %. At other
// times the heap is small, and collecting it earlier would cost more than 10 % of the CPU time.
func (a *App) tuneGC(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	ticker := time.NewTicker(gcInterval)
	defer ticker.Stop()
	usual := 0 // 0: the percentage is the usual one
	for {
		select {
		case <-ctx.Done():
			if usual != 0 {
				debug.SetGCPercent(usual)
			}
			return nil
		case <-ticker.C:
		}
		switch many := a.acquirer.Stats().Waiters >= manyWaiters; {
		case many && usual == 0:
			usual = debug.SetGCPercent(manyGCPercent)
		case !many && usual != 0:
			debug.SetGCPercent(usual)
			usual = 0
		}
	}
}
