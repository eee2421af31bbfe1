package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"testing"

	"qrgate/internal/diagnosis"
)

// The scan of request headers depends on no chunk of the network, and finds the body that net/http finds.
func FuzzHeadScanner(f *testing.F) {
	for _, wire := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:                                                31\r\n\r\nbody",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 4\r\n\r\n", "POST / HTTP/1.1\nHost: a\n\n",
		"\r\n\r\nPOST / HTTP/1.1\r\ncontent-length:\t7 \r\nHost: a\r\n\r\n1234567GET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(wire), byte(3))
	}
	f.Fuzz(func(t *testing.T, wire []byte, size byte) {
		var all, parts headScanner
		all.scan(wire)
		for chunk := range slices.Chunk(wire, int(size)+1) {
			parts.scan(chunk)
		}
		if all.ambiguous.Load() != parts.ambiguous.Load() || all.chunked.Load() != parts.chunked.Load() || all.skip != parts.skip {
			t.Errorf("%q: the chunks change the result", wire)
		}
		end := bytes.Index(wire, []byte("\r\n\r\n"))
		if end < 0 || bytes.HasPrefix(wire, []byte("\r")) || bytes.HasPrefix(wire, []byte("\n")) {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
		var head headScanner
		head.scan(wire[:end+4])
		if err == nil && !head.ambiguous.Load() && !head.chunked.Load() && head.skip != max(r.ContentLength, 0) {
			t.Errorf("%q: a body of %d bytes, net/http reads %d", wire, head.skip, r.ContentLength)
		}
	})
}

func FuzzLanguageOf(f *testing.F) {
	for _, accept := range []string{"es", "es-MX,es;q=0.9,en;q=0.8", "*", "en;q=NaN", "x-", "de,fr;q=0", ""} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		r := &http.Request{Header: http.Header{"Accept-Language": {accept}}}
		if name := languageOf(r); !slices.Contains(diagnosis.Languages(), name) {
			t.Errorf("%q: %q", accept, name)
		}
	})
}
