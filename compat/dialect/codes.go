package dialect

import (
	"context"
	"encoding/base64"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// Codes remembers, for each session of an engine, when its present code was first seen and when a pairing was last
// begun: engines state neither. A code that outlived its life, or that was there before a begin, is dead, even if the
// engine still returns it.
type Codes struct {
	traits Traits

	mu      sync.Mutex
	entries map[string]*entry
}

// maxEntries bounds the memory; the entry that was used least recently goes first.
const maxEntries = 20_000

// entry is what is known of one session.
type entry struct {
	lock     chan struct{} // held while a begin is decided and sent
	form     string        // the last code seen, dead or not, as the engine wrote it
	text     string        // the same as a phone reads it
	image    secret.Secret // the same as the documented API shows it
	seenAt   time.Time
	isDead   bool
	isGone   bool      // the engine reported that it has no code; it may show this one again
	sequence int       // codes since the last begin
	begunAt  time.Time // when a pairing was last begun, or tried to
	failure  error     // why that failed; nil if it did not, or if it is not known
	isMoved  bool      // the engine reported since then that the session is not disconnected

	pairing      issuedCode
	connectingAt time.Time // when the engine last reported that it is connecting the session
	usedAt       time.Time
}

// issuedCode is a code that pairs by phone number.
type issuedCode struct {
	phone, code secret.Secret
	at, until   time.Time
}

func newCodes(t Traits) *Codes { return &Codes{traits: t, entries: map[string]*entry{}} }

// entry returns the entry of a session. The caller holds mu.
func (c *Codes) entry(name string, now time.Time) *entry {
	e := c.entries[name]
	if e == nil {
		if len(c.entries) >= maxEntries {
			c.evict()
		}
		e = &entry{lock: make(chan struct{}, 1)}
		c.entries[name] = e
	}
	e.usedAt = now
	return e
}

func (c *Codes) evict() {
	oldest := ""
	for name, e := range c.entries {
		if len(e.lock) == 0 && (oldest == "" || e.usedAt.Before(c.entries[oldest].usedAt)) {
			oldest = name
		}
	}
	delete(c.entries, oldest)
}

// Lock waits until no other call decides about a begin of this session. The error is the context's.
func (c *Codes) Lock(ctx context.Context, name string) (unlock func(), err error) {
	c.mu.Lock()
	e := c.entry(name, time.Now())
	c.mu.Unlock()
	select {
	case e.lock <- struct{}{}:
		return func() { <-e.lock }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Begin records that the engine accepted a request, sent at the given time, that begins a pairing: an older code is
// dead.
func (c *Codes) Begin(name string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(name, at)
	e.begunAt, e.failure, e.sequence, e.isGone, e.isMoved = at, nil, 1, false, false
	if e.seenAt.Before(at) {
		e.sequence, e.isDead = 0, true
	}
}

// Try records that the engine failed to begin a pairing for a caller that it accepted, and why, if that is known. The
// next try waits as after a begin; what a refused caller sends changes nothing.
func (c *Codes) Try(name string, failure error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(name, now)
	e.begunAt, e.failure = now, failure
}

// lastFailure is why the begin failed after which the next one must wait.
func (c *Codes) lastFailure(name string, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || c.isGood(e, now) || now.Sub(e.begunAt) >= c.traits.Settle {
		return nil
	}
	return e.failure
}

// MustNotBegin reports whether another begin would end a code that is good, or came before the last one settled.
func (c *Codes) MustNotBegin(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || c.traits.QRBegins && e.isGone && e.sequence > 0 { // the last begin has had its code
		return false
	}
	return c.isGood(e, now) || now.Sub(e.begunAt) < c.traits.Settle
}

// Record takes a code that was first seen at seenAt, as the engine wrote it: a text, a data URL or base64. It reports
// whether the code may be shown at now. The error is compat.ErrNotQR.
func (c *Codes) Record(name, form string, seenAt, now time.Time) (isGood bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(name, now)
	e.isGone = false
	if e.form == form {
		return c.isGood(e, now), nil
	}
	image, err := compat.NormalizeQRImage(form)
	if err != nil {
		return false, err
	}
	text := form
	if read, err := compat.ReadQR(image); err == nil {
		text = read.Reveal() // one code in two forms is one code
	}
	e.form = form
	if e.text != text {
		e.text, e.image, e.seenAt, e.isDead, e.sequence = text, image, seenAt, false, e.sequence+1
	}
	return c.isGood(e, now), nil
}

// Lose records that the engine has no code.
func (c *Codes) Lose(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[name]; e != nil {
		e.isGone = true
	}
}

// Code returns the code that may be shown, in the documented form, and when it expires.
func (c *Codes) Code(name string, now time.Time) (expiresAt time.Time, image secret.Secret, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || !c.isGood(e, now) {
		return time.Time{}, secret.Secret{}, false
	}
	return c.expiresAt(e), e.image, true
}

// Present returns the code that may be shown, as a phone reads it; "" without one.
func (c *Codes) Present(name string, now time.Time) (text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[name]; e != nil && c.isGood(e, now) {
		return e.text
	}
	return ""
}

func (c *Codes) isGood(e *entry, now time.Time) bool {
	return !e.image.Empty() && !e.isDead && !e.isGone && now.Before(c.expiresAt(e))
}

func (c *Codes) expiresAt(e *entry) time.Time {
	if e.sequence <= 1 {
		return e.seenAt.Add(c.traits.FirstTTL)
	}
	return e.seenAt.Add(c.traits.LaterTTL)
}

// stateTTL is how long a session that is being connected is taken to be so without another call for its state.
const stateTTL = 6 * time.Second

// recordState takes a state that the engine reported.
func (c *Codes) recordState(name string, s session.State, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(name, now)
	e.connectingAt = time.Time{}
	if s == session.Connecting {
		e.connectingAt = now
	}
	e.isMoved = e.isMoved || s != session.Disconnected && s != session.Unknown
}

// isAhead reports whether the last begin brought a code that is good although the engine goes on reporting the session
// as disconnected, as before the begin: that state is old, and denies no code.
func (c *Codes) isAhead(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	return e != nil && !c.traits.QRBegins && c.isGood(e, now) && e.sequence == 1 && !e.begunAt.IsZero() && !e.isMoved
}

// isConnecting reports whether the engine reported a moment ago that it is connecting the session.
func (c *Codes) isConnecting(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	return e != nil && now.Sub(e.connectingAt) < stateTTL
}

// maxReasonAge is how old a reason may be that belongs to no begin that is known.
const maxReasonAge = 5 * time.Minute

// presentReason is why the session is disconnected now: a reason from before the present pairing explains nothing.
func (c *Codes) presentReason(s Session, now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := now.Add(-maxReasonAge)
	if e := c.entries[s.Name]; e != nil && e.begunAt.After(since) {
		since = e.begunAt
	}
	if s.ReasonAt.Before(since) {
		return ""
	}
	return s.Reason
}

// Forget drops what is known of a session that ended.
func (c *Codes) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[name]; e != nil {
		*e = entry{lock: e.lock, usedAt: e.usedAt}
	}
}

// names finds the names of sessions by the integers that qrgate gave them.
type names struct {
	mu   sync.Mutex
	byID map[int64]string
}

func newNames() *names { return &names{byID: map[int64]string{}} }

func (n *names) add(id int64, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.byID) >= maxEntries {
		clear(n.byID) // a list call finds them again
	}
	n.byID[id] = name
}

func (n *names) find(id int64) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.byID[id]
	return name, ok
}

// hashID is the integer of a session whose engine has none, in [1, 2^31].
func hashID(name string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return int64(h.Sum32()>>1) + 1
}

// encodedPrefix marks an encoded name.
const encodedPrefix = "x64-"

// EncodeName writes a session's name in the documented alphabet, [A-Za-z0-9_-]. Most names stay as they are; a name of
// digits alone is encoded too, because the documented API would take it for an integer.
func EncodeName(name string) string {
	isPlain := session.ValidID(name) && strings.Trim(name, "0123456789") != "" && !strings.HasPrefix(name, encodedPrefix)
	if isPlain {
		return name
	}
	return encodedPrefix + base64.RawURLEncoding.EncodeToString([]byte(name))
}

// DecodeName reverses EncodeName. A text that is no encoded name is the name itself.
func DecodeName(id string) string {
	if b64, ok := strings.CutPrefix(id, encodedPrefix); ok {
		if b, err := base64.RawURLEncoding.DecodeString(b64); err == nil {
			return string(b)
		}
	}
	return id
}
