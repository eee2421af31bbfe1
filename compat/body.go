package compat

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"slices"
	"strings"
)

// ReadBody reads and closes the body of an engine's response, at most max bytes of it. It unpacks gzip and deflate:
// some engines, and proxies in front of them, compress what nobody asked them to.
func ReadBody(res *http.Response, max int64) (body []byte, isComplete bool, err error) {
	defer func() { _ = res.Body.Close() }()
	codings := strings.Split(strings.ToLower(strings.Join(res.Header.Values("Content-Encoding"), ",")), ",")
	r := io.Reader(res.Body)
	for _, coding := range slices.Backward(codings) {
		if r, err = unpack(r, strings.TrimSpace(coding)); err != nil {
			return nil, false, err
		}
	}
	body, err = io.ReadAll(io.LimitReader(r, max+1))
	return body, err == nil && int64(len(body)) <= max, err
}

// unpack reads what a content coding packed. An unknown coding stays packed, and an empty body is packed by none.
func unpack(r io.Reader, coding string) (io.Reader, error) {
	if coding != "gzip" && coding != "x-gzip" && coding != "deflate" {
		return r, nil
	}
	buffered := bufio.NewReader(r)
	head, err := buffered.Peek(2)
	switch {
	case err == io.EOF && len(head) == 0:
		return buffered, nil
	case coding != "deflate":
		return gzip.NewReader(buffered)
	case len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0:
		return zlib.NewReader(buffered)
	}
	return flate.NewReader(buffered), nil // some servers omit the header of zlib, which deflate requires
}
