package proxy

import (
	"crypto/rand"
	"net/http"
)

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// withRequestID is a copy of the server's request, headers included, which handlers must not change. It has an
// X-Request-Id: the client's if there is exactly one and it can be printed safely, else a new one.
func withRequestID(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	if ids := r.Header[headerRequestID]; len(ids) != 1 || !validRequestID(ids[0]) {
		r.Header.Set(headerRequestID, rand.Text())
	}
	return r
}

// validRequestID reports whether id is within ^[A-Za-z0-9._-]{1,64}$.
func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		ok := c == '.' || c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !ok {
			return false
		}
	}
	return true
}
