package embedded

import (
	"context"
	"time"
)

// logout takes the device off the phone's list, if the session is online, and ends its line; it returns what
// the session was before. A device that is not online stays on the list until the phone's owner removes it.
func (s *engineSession) logout(ctx context.Context) view {
	s.mu.Lock()
	l, v := s.line, view{row: s.row, link: s.link}
	s.mu.Unlock()
	if l == nil {
		return v
	}
	if cli := l.client.Load(); cli != nil && v.link.Phase == online {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
		if err := cli.Logout(limited); err != nil {
			s.log().Warn("a device stays on its phone's list", "error", scrub(err.Error()))
		}
		cancel()
	}
	s.apply(nil, stopRequested{})
	limit := time.NewTimer(logoutTime)
	defer limit.Stop()
	select {
	case <-l.done:
	case <-limit.C:
	}
	return v
}
