package acquire

import (
	"sync"

	"qrgate/internal/session"
)

// waiterLimiter counts held requests against the caps.
type waiterLimiter struct {
	most WaiterLimits

	mu                   sync.Mutex
	all, unauthenticated int
	tenants              map[session.Tenant]int
}

// hold takes a slot of a tenant; false when the tenant or the replica has none left.
func (s *waiterLimiter) hold(t session.Tenant) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.most.Replica || s.tenants[t] >= s.most.Tenant {
		return nil, false
	}
	if s.tenants == nil {
		s.tenants = map[session.Tenant]int{}
	}
	s.all++
	s.tenants[t]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.tenants[t]--; s.tenants[t] == 0 {
			delete(s.tenants, t)
		}
	}), true
}

// unproven takes one of the few slots that all credentials share which no engine has accepted lately.
func (s *waiterLimiter) unproven(session.Tenant) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unauthenticated >= s.most.Unauthenticated {
		return nil, false
	}
	s.unauthenticated++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unauthenticated--
	}), true
}
