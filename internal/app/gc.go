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
	manyGCPercent = 50  // while many requests wait
	gcPercent     = 100 // Go's default
)

// tuneGC collects garbage earlier while many requests wait, unless GOGC is set. Their memory is mostly buffers and
// stacks of net/http, and Go's default lets as much garbage grow: 42 KiB per waiting request, and 33 with 50 %. At
// other times the heap is small, and collecting it earlier would cost more than 10 % of the CPU time.
func (a *App) tuneGC(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	ticker := time.NewTicker(gcInterval)
	defer ticker.Stop()
	defer debug.SetGCPercent(gcPercent)
	hadMany := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		hasMany := a.waiters() >= manyWaiters
		if hasMany && !hadMany {
			debug.SetGCPercent(manyGCPercent)
		} else if hadMany && !hasMany {
			debug.SetGCPercent(gcPercent)
		}
		hadMany = hasMany
	}
}
