package proxy

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// net/http accepts ambiguous framing and hides it. The engine receives an unambiguous request all the same; this file
// protects a chain with a proxy in front of qrgate that reads such a request differently. See
// docs/adr/0001-refuse-ambiguous-framing.md.

// DetectSmuggling wraps a listener so that the Handler can refuse requests whose framing is ambiguous.
func DetectSmuggling(l net.Listener) net.Listener { return guardedListener{l} }

type guardedListener struct{ net.Listener }

// Accept implements [net.Listener].
func (l guardedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{delayingConn: delayingConn{Conn: conn}}, nil
}

// guardedConn passes what it reads to a headScanner. net/http never reads a connection concurrently.
type guardedConn struct {
	delayingConn
	scanner headScanner
}

// Read implements [net.Conn].
func (c *guardedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.scanner.scan(p[:n])
	return n, err
}

// guardKey is the context key by which Server passes a connection to its requests.
type guardKey struct{}

// connOf returns the connection of a request; nil if the listener was not wrapped.
func connOf(r *http.Request) *guardedConn {
	c, _ := r.Context().Value(guardKey{}).(*guardedConn)
	return c
}

// isAmbiguous reports whether the request came over a connection with ambiguous framing. The cause may be a later
// request on the same connection: then both are refused.
func isAmbiguous(r *http.Request) bool {
	c := connOf(r)
	return c != nil && (c.scanner.ambiguous.Load() || c.scanner.chunked.Load() && !r.ProtoAtLeast(1, 1))
}

// headScanner finds request headers, in the bytes of an HTTP/1 connection, that two parsers could read differently. A
// header with a Transfer-Encoding ends the scan, because the Handler closes the connection after it.
type headScanner struct {
	ambiguous atomic.Bool
	chunked   atomic.Bool // a Transfer-Encoding was seen

	line      []byte // the beginning of the current line, if its end was not read yet; net/http bounds a header's size
	inHeader  bool   // after the request line
	hasLength bool   // the header has a Content-Length
	length    int64  // its value
	skip      int64  // bytes left of a body
	done      bool
}

func (s *headScanner) scan(p []byte) {
	for len(p) > 0 && !s.done {
		if s.skip > 0 {
			n := min(s.skip, int64(len(p)))
			s.skip -= n
			p = p[n:]
			continue
		}
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		p = rest
		if len(s.line) > 0 || !ended {
			s.line = append(s.line, line...)
			line = s.line
		}
		if ended {
			s.endLine(line)
			s.line = s.line[:0]
		}
	}
}

// endLine judges a line without its line feed.
func (s *headScanner) endLine(line []byte) {
	line, hasCR := bytes.CutSuffix(line, []byte("\r"))
	switch {
	case len(line) == 0 && !s.inHeader:
		return // empty lines before a request are allowed
	case !hasCR:
		s.ambiguous.Store(true)
	case len(line) == 0:
		if s.hasLength && s.chunked.Load() {
			s.ambiguous.Store(true)
		}
		s.done = s.chunked.Load() || s.ambiguous.Load()
		s.skip, s.length = s.length, 0
		s.inHeader, s.hasLength = false, false
		return
	case s.inHeader:
		s.field(line)
	}
	s.inHeader = true
}

// field records what frames the message.
func (s *headScanner) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case line[0] == ' ' || line[0] == '\t':
		s.ambiguous.Store(true)
	case bytes.EqualFold(name, []byte("Content-Length")):
		s.hasLength = true
		// net/http refuses what is no number and closes the connection.
		s.length, _ = strconv.ParseInt(string(bytes.Trim(value, " \t")), 10, 64)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		s.chunked.Store(true)
	}
}
