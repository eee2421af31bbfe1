package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// localLocation keeps the engine's own address from clients: a Location there becomes a path, which leads
// through the gate again. One that leads to another host passes on a redirect, because that is the engine's
// decision (a download from a file store, say), and is dropped elsewhere; other schemes than http and https
// never pass. The gate itself follows none.
func (f *Handler) localLocation(res *http.Response) {
	said := res.Header.Get("Location")
	if said == "" {
		return
	}
	u, err := url.Parse(said)
	switch {
	case err != nil:
		res.Header.Del("Location")
	case u.Host == "" && u.Scheme == "":
		res.Header.Set("Location", f.withoutBase(u))
	case sameHost(u, f.config.Engine):
		u.Scheme, u.Host, u.User = "", "", nil
		if u.Path == "" {
			u.Path = "/"
		}
		res.Header.Set("Location", f.withoutBase(u))
	case res.StatusCode/100 != 3, u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		res.Header.Del("Location")
	}
}

// withoutBase is u without the path that stands before every path of the engine.
func (f *Handler) withoutBase(u *url.URL) string {
	base := strings.TrimSuffix(f.config.Engine.Path, "/")
	if rest, ok := strings.CutPrefix(u.Path, base); ok && base != "" && strings.HasPrefix(rest, "/") {
		u.Path, u.RawPath = rest, ""
	}
	return u.String()
}

// sameHost compares host and port, where the scheme's own port may be missing.
func sameHost(u, engine *url.URL) bool {
	return strings.EqualFold(u.Hostname(), engine.Hostname()) && port(u, engine.Scheme) == port(engine, engine.Scheme)
}

// port is the port that u leads to; a URL that begins with "//" has the scheme of its context.
func port(u *url.URL, scheme string) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme != "" {
		scheme = u.Scheme
	}
	if scheme == "https" {
		return "443"
	}
	return "80"
}
