package enginesim

import (
	"net/http"
	"net/url"
	"strings"
)

// match finds the rule for a request the way Express 4 does: static segments in any case, one trailing slash
// ignored, the path taken as it was sent and only the parameter unescaped. So a parameter may
// hold a slash, and %71r is not qr.
func match(table []entry, method, rawPath string) (rule, string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments := split(rawPath)
	for _, r := range table {
		if r.method != "" && r.method != method {
			continue
		}
		if raw, ok := fits(r.segments, segments); ok {
			id, err := url.PathUnescape(raw)
			if err == nil {
				return r.rule, id
			}
		}
	}
	return rule{route: RouteUnknown}, ""
}

func split(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(path, "/"), "/")
}

// fits compares segment by segment and returns the parameter as it was sent.
func fits(pattern, segments []string) (parameter string, ok bool) {
	for i, want := range pattern {
		if want == "*" {
			return parameter, true
		}
		if i >= len(segments) {
			return "", false
		}
		if strings.HasPrefix(want, ":") && segments[i] != "" {
			parameter = segments[i]
			continue
		}
		if !strings.EqualFold(want, segments[i]) {
			return "", false
		}
	}
	return parameter, len(segments) == len(pattern)
}

// rawPath is the path as it was sent, before Go cleaned or decoded anything.
func rawPath(r *http.Request) string {
	if !strings.HasPrefix(r.RequestURI, "/") { // in-process callers leave it empty, proxies send a whole URL
		return r.URL.EscapedPath()
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}
