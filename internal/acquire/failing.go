package acquire

import (
	"sync"

	"qrgate/internal/session"
)

// failureCounter counts, over all credentials, the sessions that wait too long for their QR: several at once are
// the engine's trouble and not theirs.
type failureCounter struct {
	mu    sync.Mutex
	by    map[session.Tenant]int
	total int
}

func (f *failureCounter) set(t session.Tenant, n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[session.Tenant]int{}
	}
	f.total += n - f.by[t]
	if f.by[t] = n; n == 0 {
		delete(f.by, t)
	}
	return f.total
}

func (f *failureCounter) sum() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total
}
