package proxy

import (
	"net"
	"net/http"
	"sync/atomic"
)

// DetectSmuggling wraps a listener so that the Front can refuse requests whose framing is ambiguous: Content-Length
// beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0, folded headers, bare line feeds. net/http
// accepts all of them and hides that it did (reliability 2.3, row 6), so the bytes are watched as they come in.
//
// Without Guard those requests are still read in one way only, and a connection still ends after every
// chunked request; they are merely not refused.
func DetectSmuggling(l net.Listener) net.Listener { return guardedListener{l} }

type guardedListener struct{ net.Listener }

// Accept waits for a connection and watches it.
func (l guardedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn}, nil
}

// guardedConn shows what it reads to a headScan. net/http never reads a connection twice at a time.
type guardedConn struct {
	net.Conn
	scan  headScan
	bad   atomic.Bool // ambiguous framing was seen
	coded atomic.Bool // a Transfer-Encoding was seen
}

// Read reads and watches.
func (c *guardedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.scan.feed(p[:n])
	if c.scan.bad {
		c.bad.Store(true)
	}
	if c.scan.chunked {
		c.coded.Store(true)
	}
	return n, err
}

// CloseWrite lets net/http end an answer before it ends the connection.
func (c *guardedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// guardKey is how Server hands a connection to the requests on it; net/http offers no other way.
type guardKey struct{}

// ambiguous reports whether the request came over a connection with ambiguous framing. A later request
// on the same connection may be the culprit: both are refused.
func ambiguous(r *http.Request) bool {
	c, ok := r.Context().Value(guardKey{}).(*guardedConn)
	return ok && (c.bad.Load() || c.coded.Load() && !r.ProtoAtLeast(1, 1))
}
