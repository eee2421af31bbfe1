package session

import "time"

// clockSlack is a difference between two hosts' clocks that is not worth correcting.
const clockSlack = 250 * time.Millisecond

// Shifted is s with all its times moved by d, for a reader whose clock differs from the writer's. The QR,
// which is stored with relative times, stays as it is.
func (s Session) Shifted(d time.Duration) Session {
	if d.Abs() < clockSlack {
		return s
	}
	for _, t := range []*time.Time{&s.Since, &s.AuthorizedAt, &s.ConnectedAt, &s.AcquiringSince, &s.LastRequestedAt, &s.LastPolledAt, &s.StateConfirmedAt, &s.StateQueriedAt, &s.Pushed.Again,
		&s.Pushed.Force, &s.Pushed.Restart, &s.Pushed.Tried, &s.Trouble.Since, &s.Trouble.Last,
		&s.Past.Look.Since, &s.Past.Look.Last, &s.Past.ConnectFailure.Since, &s.Past.ConnectFailure.Last, &s.Past.Restarted, &s.Past.Named.Last, &s.Past.Ended} {
		if !t.IsZero() {
			*t = t.Add(d)
		}
	}
	return s
}
