package proxy

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"strings"
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

// headScan reads the bytes of an HTTP/1 connection and finds heads that two parsers could read in two
// ways. It decides nothing about borders: a head with a Transfer-Encoding ends the scan, because the
// Front ends the connection after it.
type headScan struct {
	bad     bool // ambiguous framing was seen
	chunked bool // a Transfer-Encoding was seen

	line   [48]byte // the beginning of the current line: longer ones are of no interest
	kept   int      // bytes in line
	last   byte     // the byte before the current one
	inHead bool     // past the request line
	sized  bool     // the head has a Content-Length
	length int64    // its value
	skip   int64    // bytes of a body still to come
	done   bool
}

// feed takes the next bytes of the connection.
func (s *headScan) feed(p []byte) {
	for len(p) > 0 && !s.done {
		if s.skip > 0 {
			n := min(s.skip, int64(len(p)))
			s.skip -= n
			p = p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.keep(p)
			return
		}
		s.keep(p[:end])
		s.endLine()
		p = p[end+1:]
	}
}

// keep adds to the current line.
func (s *headScan) keep(p []byte) {
	s.kept += copy(s.line[s.kept:], p)
	if len(p) > 0 {
		s.last = p[len(p)-1]
	}
}

// endLine judges the line that a line feed has ended.
func (s *headScan) endLine() {
	line := strings.TrimSuffix(string(s.line[:s.kept]), "\r")
	bare := s.last != '\r'
	s.kept, s.last = 0, 0
	switch {
	case line == "" && !s.inHead:
		return // empty lines before a request are allowed
	case bare:
		s.bad = true
	case line == "":
		s.endHead()
		return
	case s.inHead:
		s.header(line)
	}
	s.inHead = true
}

// header notes what frames the message.
func (s *headScan) header(line string) {
	if line[0] == ' ' || line[0] == '\t' {
		s.bad = true
		return
	}
	name, value, _ := strings.Cut(line, ":")
	switch {
	case strings.EqualFold(name, "Content-Length"):
		s.sized = true
		// What is no number is refused by net/http, and the connection ends.
		s.length, _ = strconv.ParseInt(strings.Trim(value, " \t"), 10, 64)
	case strings.EqualFold(name, "Transfer-Encoding"):
		s.chunked = true
	}
}

// endHead judges a whole head.
func (s *headScan) endHead() {
	s.bad = s.bad || s.sized && s.chunked
	s.done = s.chunked || s.bad
	s.skip, s.length = s.length, 0
	s.inHead, s.sized = false, false
}
