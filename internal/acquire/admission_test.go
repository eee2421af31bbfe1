package acquire

import (
	"testing"
	"time"

	"qrgate/internal/session"
)

// A connect leaves calls to the list while the QRs of other sessions are awaited or soon will be: creates in flight and
// sessions that were just created count before any connect had a response.
func TestTenant_ConnectLeavesCallsToSessionsAboutToWait(t *testing.T) {
	t.Parallel()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	justCreated := session.Session{CreatedHere: true, Since: now}
	alreadyConnected := justCreated
	alreadyConnected.ConnectedAt = now
	for name, c := range map[string]struct {
		sessions  []session.Session
		creating  int
		mustQueue bool
	}{
		"the only session":                  {sessions: []session.Session{justCreated}},
		"another was just created":          {sessions: []session.Session{justCreated, justCreated}, mustQueue: true},
		"another is being created":          {sessions: []session.Session{justCreated}, creating: 1, mustQueue: true},
		"the other connected and has no QR": {sessions: []session.Session{justCreated, alreadyConnected}},
	} {
		tn := &tenant{trackers: map[*tracker]struct{}{}, creating: c.creating, limiter: rateLimiter{
			windows: []window{{limit: 30, remaining: connectReserve, resetAt: now.Add(time.Minute)}}}}
		for _, s := range c.sessions {
			tr := &tracker{}
			tr.state.Store(&session.Snapshot{Session: s})
			tn.trackers[tr] = struct{}{}
		}
		if at := tn.connectAllowedAt(nil, now); at.After(now) != c.mustQueue {
			t.Errorf("%s: allowed at %v", name, at)
		}
	}
}
