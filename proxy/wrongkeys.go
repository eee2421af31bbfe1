package proxy

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"qrgate/compat"
	"qrgate/internal/session"
)

// Bounds of the back-off for addresses that present wrong keys.
const (
	freeRefusals     = 5 // wrong keys of an address that cost it nothing
	firstPenalty     = 250 * time.Millisecond
	maxPenalty       = 5 * time.Second
	forgiveAfter     = 10 * time.Minute // without a wrong key
	refusalLogPeriod = time.Minute      // one line per address
	maxOffenders     = 10_000           // addresses; the one that was refused least recently goes first
	maxPenalized     = 200              // requests that wait for their penalty; above, they are refused at once
	maxAcceptedKeys  = 100              // of one address
)

// wrongKeys makes an address that presents wrong keys wait, longer with each of them. A key that was accepted from the
// same address does not wait: offices share addresses. The embedded engine needs it; another engine protects itself.
type wrongKeys struct {
	isAny   atomic.Bool // an address is known
	waiting atomic.Int32

	mu        sync.Mutex
	offenders *simplelru.LRU[netip.Addr, *offender] // by when they were refused last
}

func newWrongKeys() wrongKeys {
	offenders, _ := simplelru.NewLRU[netip.Addr, *offender](maxOffenders, nil) // fails for a size of 0
	return wrongKeys{offenders: offenders}
}

// offender is an address that presented wrong keys.
type offender struct {
	refusals  int
	refusedAt time.Time
	loggedAt  time.Time
	accepted  map[session.Tenant]bool
}

// penalty is how long a request of an address with a credential waits.
func (k *wrongKeys) penalty(addr netip.Addr, tenant func() session.Tenant, now time.Time) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	o, _ := k.offenders.Peek(addr)
	if o == nil || o.refusals < freeRefusals || now.Sub(o.refusedAt) > forgiveAfter || o.accepted[tenant()] {
		return 0
	}
	return min(firstPenalty<<min(o.refusals-freeRefusals, 10), maxPenalty)
}

// refuse counts a wrong key. It reports whether the request log has had a line about this address within the period.
func (k *wrongKeys) refuse(addr netip.Addr, now time.Time) (isLogged bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o, _ := k.offenders.Get(addr)
	if o == nil || now.Sub(o.refusedAt) > forgiveAfter {
		o = &offender{accepted: map[session.Tenant]bool{}}
		k.offenders.Add(addr, o)
		k.isAny.Store(true)
	}
	o.refusals, o.refusedAt = o.refusals+1, now
	isLogged = o.refusals > freeRefusals && now.Sub(o.loggedAt) < refusalLogPeriod
	if !isLogged {
		o.loggedAt = now
	}
	return isLogged
}

// accept records a key that the engine accepts, if its address is known.
func (k *wrongKeys) accept(addr netip.Addr, tenant func() session.Tenant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if o, _ := k.offenders.Peek(addr); o != nil && len(o.accepted) < maxAcceptedKeys {
		o.accepted[tenant()] = true
	}
}

// awaitPenalty lets a request of an address that presents wrong keys wait. It reports false if it responded, or the
// client left.
func (w *responseWriter) awaitPenalty() bool {
	k := &w.handler.wrongKeys
	if !w.handler.config.SlowWrongKeys || !k.isAny.Load() {
		return true
	}
	penalty := k.penalty(w.clientAddr(), w.tenant, time.Now())
	if penalty == 0 {
		return true
	}
	defer k.waiting.Add(-1)
	if k.waiting.Add(1) > maxPenalized {
		r := problem(http.StatusTooManyRequests, compat.CodeRateLimitExceeded, textWrongKeys)
		r.retryAfter = maxPenalty
		w.repeated = true
		w.reply(r)
		return false
	}
	ctx, cancel := context.WithTimeout(w.request.Context(), penalty)
	defer cancel()
	<-ctx.Done()
	return w.request.Context().Err() == nil
}

// recordKey records the engine's decision about the key of a request.
func (w *responseWriter) recordKey() {
	k := &w.handler.wrongKeys
	switch {
	case !w.handler.config.SlowWrongKeys || w.request.Header.Get("X-Api-Key") == "":
	case w.status == http.StatusUnauthorized:
		w.repeated = k.refuse(w.clientAddr(), time.Now())
	case w.status < 400 && k.isAny.Load():
		k.accept(w.clientAddr(), w.tenant)
	}
}

func (w *responseWriter) tenant() session.Tenant { return w.handler.callerOf(w).Tenant }

// clientAddr is the client's address: the peer's, or what trusted proxies report, read from the end.
func (w *responseWriter) clientAddr() netip.Addr {
	peer, err := netip.ParseAddrPort(w.request.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	forwarded := strings.Split(strings.Join(w.request.Header["X-Forwarded-For"], ","), ",")
	for _, text := range slices.Backward(forwarded) {
		if !w.handler.isTrustedAddr(addr) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr
}
