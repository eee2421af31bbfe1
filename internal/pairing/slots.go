package pairing

import (
	"sync"

	"qrgate"
)

// slots counts held requests against the caps.
type slots struct {
	most Caps

	mu           sync.Mutex
	all, strange int
	tenants      map[qrgate.Tenant]int
}

// hold takes a slot of a tenant; false when the tenant or the replica has none left.
func (s *slots) hold(t qrgate.Tenant) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.most.Replica || s.tenants[t] >= s.most.Tenant {
		return nil, false
	}
	if s.tenants == nil {
		s.tenants = map[qrgate.Tenant]int{}
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
func (s *slots) unproven(qrgate.Tenant) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.strange >= s.most.Unproven {
		return nil, false
	}
	s.strange++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.strange--
	}), true
}
