// Package webhook delivers the events of sessions to webhooks: signed over the exact bytes of the body, at least once,
// and in order per session, from a queue that outlives the process (contract 6).
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"qrgate/compat"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// The kinds of events. Other documented events concern messages.
const (
	QR           = "session.qr"
	Connected    = "session.connected"
	Disconnected = "session.disconnected"
	Failed       = "session.failed"
)

// Kinds returns the kinds of events.
func Kinds() []string { return []string{QR, Connected, Disconnected, Failed} }

const (
	attemptTimeout = 7 * time.Second
	maxURL         = 2048
)

// Target is where events go.
type Target struct {
	URL    string
	Secret secret.Secret
	Kinds  []string
}

// NewTarget returns a target for the events that kinds names, all if it is nil. Kinds that do not exist are ignored.
// allowPrivate permits private addresses, and http.
func NewTarget(at string, key secret.Secret, kinds []string, allowPrivate bool) (*Target, error) {
	u, err := url.Parse(at)
	isHTTP := err == nil && (u.Scheme == "https" || u.Scheme == "http" && allowPrivate)
	if isHTTP && u.Port() != "" {
		_, err := strconv.ParseUint(u.Port(), 10, 16)
		isHTTP = err == nil
	}
	if !isHTTP || u.Hostname() == "" || u.User != nil || len(at) > maxURL {
		return nil, errors.New("must be an https URL without a user")
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !isPublic(addr) {
		return nil, errPrivate
	}
	t := &Target{URL: at, Secret: key, Kinds: Kinds()}
	if kinds != nil {
		t.Kinds = slices.DeleteFunc(t.Kinds, func(kind string) bool { return !slices.Contains(kinds, kind) })
	}
	return t, nil
}

// Event is one event for one target.
type Event struct {
	ID      string    `json:"-"`     // in the queue
	Order   string    `json:"order"` // events with the same value are delivered in order
	Kind    string    `json:"kind"`
	Session string    `json:"session"` // the client's name of the session
	Body    []byte    `json:"body"`
	At      time.Time `json:"at"`

	// Same is equal for events that report the same change, which two replicas may both have seen; "" if there is no
	// other replica. It contains no code.
	Same string `json:"same,omitempty"`

	isUnstored bool // the queue is unavailable; the event exists in memory only
}

// NewEvent returns an event with the documented body.
func NewEvent(kind, sessionID string, data map[string]any, now time.Time) Event {
	data["timestamp"] = compat.Millis(now)
	body, _ := json.Marshal(map[string]any{ // never fails: strings only
		"event": kind, "sessionId": sessionID, "data": data, "timestamp": compat.Millis(now),
	})
	return Event{Kind: kind, Session: sessionID, Body: body, At: now}
}

// QRData is the data of a QR event.
func QRData(q session.QR) map[string]any {
	return map[string]any{"qrCode": q.Image.Reveal(), "expiresAt": compat.Millis(q.ExpiresAt), "status": compat.WireQR}
}

// notPublic are networks that netip does not know as private.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2002::/16"),
}

// globalIPv6 has all public IPv6 addresses. Outside are addresses that contain an IPv4 address, such as those of NAT64.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

var errPrivate = errors.New("must not have a private address")

func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && (addr.Is4() || globalIPv6.Contains(addr)) &&
		!slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// newClient returns a client that dials public addresses only, unless private ones are allowed, whatever a name
// resolves to. It uses no proxy, which would dial in its place, and follows no redirect.
func newClient(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: attemptTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if !allowPrivate && (err != nil || !isPublic(to.Addr())) {
			return errPrivate
		}
		return nil
	}}
	return &http.Client{
		Timeout:       attemptTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 2},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes one attempt. Its errors have no URL, because that may contain a secret.
func (t *Target) send(ctx context.Context, client *http.Client, e Event) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(e.Body))
	if err != nil {
		return errors.New("the URL is not valid")
	}
	mac := hmac.New(sha256.New, []byte(t.Secret.Reveal()))
	mac.Write(e.Body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "qrgate")
	req.Header.Set("X-Webhook-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Webhook-Event", e.Kind)
	req.Header.Set("X-Webhook-Session", e.Session)
	req.Header.Set("X-Webhook-Timestamp", strconv.FormatInt(e.At.UnixMilli(), 10))
	res, err := client.Do(req)
	if errors.Is(err, errPrivate) {
		return errors.New("the name of the webhook resolves to a private address")
	}
	if err != nil {
		f := compat.ClassifyTransportError(err)
		return errors.New(strings.TrimSpace(string(f.Class) + " " + f.Reason))
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP %d", res.StatusCode)
	}
	return nil
}
