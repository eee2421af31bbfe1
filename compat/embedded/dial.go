package embedded

import (
	"net"
	"net/http"
	"time"
)

// stepTime bounds DNS and TCP, and TLS: each is over long before the watchdog of the whole dial.
const stepTime = 7 * time.Second

// dialClient is what the library dials with: c, or the real WhatsApp through the proxy of the environment.
// Without a ResponseHeaderTimeout a server that never answers the upgrade blocks the library for ever
// (wasim 4), so a copy of the transport gets one.
func dialClient(c *http.Client) *http.Client {
	if c == nil {
		return &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: stepTime, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   stepTime,
			ResponseHeaderTimeout: dialTime,
			DisableKeepAlives:     true, // a refused upgrade leaves nothing behind that is worth keeping
		}}
	}
	out := *c
	if t, ok := c.Transport.(*http.Transport); ok && t.ResponseHeaderTimeout == 0 {
		t = t.Clone()
		t.ResponseHeaderTimeout = dialTime
		out.Transport = t
	}
	return &out
}
