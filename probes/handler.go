package probes

import (
	"sync"
	"time"
)

// desk lets one request at a time through, and none too soon after the last of its kind.
type desk struct {
	mu   sync.Mutex
	busy bool
	last map[string]time.Time // :: probe and target → when the last run ended
}
