package proxy

import (
	"bytes"
	"strconv"
	"strings"
)

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
