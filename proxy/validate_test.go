package proxy_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"qrgate/compat"
	"qrgate/proxy"
)

var expressPaths = []struct {
	route string
	path  *regexp.Regexp
}{
	{"list", regexp.MustCompile(`(?i)^/api/sessions/?$`)},
	{"stats", regexp.MustCompile(`(?i)^/api/sessions/stats/?$`)},
	{"session", regexp.MustCompile(`(?i)^/api/sessions/([^/]+?)/?$`)},
	{"qr", regexp.MustCompile(`(?i)^/api/sessions/([^/]+?)/qr/?$`)},
	{"qr status", regexp.MustCompile(`(?i)^/api/sessions/([^/]+?)/qr/status/?$`)},
	{"status", regexp.MustCompile(`(?i)^/api/sessions/([^/]+?)/status/?$`)},
	{"connect", regexp.MustCompile(`(?i)^/api/sessions/([^/]+?)/connect/?$`)},
	{"disconnect", regexp.MustCompile(`(?i)^/api/sessions/([^/]+?)/disconnect/?$`)},
	{"restart", regexp.MustCompile(`(?i)^/api/sessions/([^/]+?)/restart/?$`)},
}

// expressRoute is what an Express engine takes a request target for. Node cuts a fragment off.
func expressRoute(target string) (route, id string) {
	path, _, _ := strings.Cut(target, "#")
	path, _, _ = strings.Cut(path, "?")
	for _, p := range expressPaths {
		if m := p.path.FindStringSubmatch(path); m != nil {
			if len(m) > 1 {
				id, _ = url.PathUnescape(m[1])
			}
			return p.route, id
		}
	}
	return "none", ""
}

// ourRoutes are the session routes and their names in expressPaths.
var ourRoutes = map[string]string{
	"/api/sessions":                 "list",
	"/api/sessions/stats":           "stats",
	"/api/sessions/{id}":            "session",
	"/api/sessions/{id}/qr":         "qr",
	"/api/sessions/{id}/qr/status":  "qr status",
	"/api/sessions/{id}/status":     "status",
	"/api/sessions/{id}/connect":    "connect",
	"/api/sessions/{id}/disconnect": "disconnect",
	"/api/sessions/{id}/restart":    "restart",
}

// Paths that parsers read differently, as they go over the wire. None may reach the engine as a
// session route; 0 means that it must pass through.
var pathVectors = map[string]int{
	"/api/sessions/81/%71r":                              400,
	"/api/sessions/81/q%72":                              400,
	"//api/sessions/81/qr":                               400,
	"/api//sessions/81/qr":                               400,
	"/api/sessions//81/qr":                               400,
	"/api/sessions/81//qr":                               400,
	"/api/sessions/81/qr//":                              400,
	"/api/sessions/81/./qr":                              400,
	"/api/sessions/80/../81/qr":                          400,
	"/api/sessions/80/..;/81/qr":                         400,
	"/api/sessions/80/%2e%2e/81/qr":                      400,
	"/api/sessions/80%2f..%2f81/qr":                      400,
	"/api/sessions/81%2fqr":                              400,
	"/api/sessions%2f81%2fqr":                            400,
	"/api%2fsessions/81/qr":                              400,
	"/api/sessions/8%31/qr":                              400,
	"/api/sessions/81/qr%00":                             400,
	"/api/sessions/81/qr%20":                             400,
	"/api/sessions/81/qr;a=b":                            400,
	"/api/sessions/81%3fx/qr":                            400,
	"/api/sessions/81%23/qr":                             400,
	"/api/sessions/81%0d%0aSET%20x/qr":                   400,
	"/api/sessions/*/qr":                                 400,
	"/api/sessions/%2a/qr":                               400,
	"/api/sessions/81:82/qr":                             400,
	"/api/sessions/a%40b/qr":                             400,
	"/API/sessions/a%40b/qr":                             400,
	"/api/sessions/{81}/qr":                              400,
	"/api\\sessions\\81\\qr":                             400,
	"/api/sessions/81/qr#f":                              400,
	"/api/sessions/81/qr?a#f":                            400,
	"/api/%73essions/81/qr":                              400,
	"/api/sess%69ons/81/qr":                              400,
	"/api/sessions/%C0%AE%C0%AE/qr":                      400,
	"/api/sessions/" + strings.Repeat("9", 3000) + "/qr": 400,
	"/api/sessions/" + strings.Repeat("9", 101) + "/qr":  400,
	"/api/sessions/81/qr\xc3\xa9":                        400,
	"/api/x/../sessions/81/qr":                           400,
	"/./api/sessions/81/qr":                              400,
	"/../api/sessions/81/qr":                             400,
	"api/sessions/81/qr":                                 400,
	"/api/sessions/81/qr HTTP/1.1":                       400,

	"/api/messages/shop-1/521%40s.whatsapp.net":      0,
	"/api/messages/shop-1/521@s.whatsapp.net/x":      0,
	"/api/groups/sessions/a/groups/1%2D2%5f%3A%2b":   0,
	"/api/media/files/informe%20final%20%281%29.pdf": 0,
	"/api/media/files/caf%C3%A9%7C1":                 0,
	"/api/media/a%2Fb":                               0,
	"/api/media/%2Fu%2Fb":                            0,
	"/api/media/https%3A%2F%2Fcdn.example%2Fa":       0,
	"/api/media/https:%252F%252Fcdn.example":         0,
	"/api/media//a/":                                 0,
	"/api//media/;/a":                                0,
	"/api/%2Fsessions/81/qr":                         400,
	"/api%2F%2Fsessions%2F%2F81/qr":                  400,
	"/api/sessions%2F%2F81/qr":                       400,
	"/api%252F%252Fsessions/81/qr":                   400,
	"/api/;/sessions/81/qr":                          400,
	"/api%5c/sessions/81/qr":                         400,
	"/api//%2e%2e/sessions/81/qr":                    400,
	"/%2Fapi/sessions/81/qr":                         400,
	"/api/sessions/a%2F%2Fb/qr":                      400,
	"/;/api/sessions/81/qr":                          400,
	"/%5cqrgate.example/api/sessions/81/qr":          400,
	"//qrgate.example/api/sessions/81/qr":            400,
	"/api/media/a%5cb":                               0,
	"/api/media/a%2eb":                               0,
	"/api/media/a%2520b":                             0,
	"/api/media/%c0%ae%c0%ae":                        400,
	"/api/media/%ff":                                 0,
	"/api/media/a%00b":                               400,
	"/api/media/a%3Bb":                               0,
	"/api/%C5%BFessions/81/qr":                       400,
	"/api/media/a;v=1/b":                             0,
	"/api/media/%E9t%E9":                             0,
	"/api/media/100%25":                              0,
	"/api/messages/%61/x%2E":                         0,
	"/api/media/%2e%2e/sessions/81/qr":               400,
	"/api/media/%252e%252e/sessions/81/qr":           400,
	"/api/media/..%2fsessions/81/qr":                 400,
	"/api/media/..%5csessions%5c81/qr":               400,
	"/api/media/..;/sessions/81/qr":                  400,
	"/api/media/..%3fx/b":                            400,
	"/api/sessions;v=1/81/qr":                        400,
	"/api/sessions%3f/81/qr":                         400,
	"/api%252fsessions/81/qr":                        400,
	"/api/media/%25252525252541":                     400,
	"/api/media/a%0d%0ab":                            400,
	"http://qrgate.example/api/messages/unread":      0,
	"http://u:p@qrgate.example/api/messages/unread":  400,
	"http://qrgate.example?x":                        0,
	"http://qrgate.example/api/sessions/8%31/qr":     400,
	"/api/docs/":                                     0,
	"/API/messages/unread":                           0,
	"/api/sessions/81/contacts":                      0,
	"/api/sessions/frappe/sessions":                  0,
	"/api/sessionsx/81/qr":                           0,
	"/health?q=%zz;a=b&c":                            0,
	"/":                                              0,
}

func TestValidate_AmbiguousPaths(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(express))
	for target, want := range pathVectors {
		for _, method := range []string{"GET", "OPTIONS"} {
			res := g.raw(t, method+" "+target+" HTTP/1.1\r\nHost: qrgate\r\nConnection: close\r\n\r\n")
			reached := res.Header.Get("X-Route")
			switch {
			case reached != "" && reached != "none":
				t.Errorf("%s %.60q reached the engine's route %q", method, target, reached)
			case want == 0 && reached == "":
				t.Errorf("%s %.60q did not pass through: %d %s", method, target, res.StatusCode, res.body)
			case want == 400 && target != "api/sessions/81/qr" && !strings.Contains(target, " "):
				wantProblem(t, res, 400, "VALIDATION_ERROR")
			case want == 400 && res.StatusCode != 400: // net/http itself refuses what is no request line
				t.Errorf("%s %.60q: %d, want 400", method, target, res.StatusCode)
			}
		}
	}
}

// An engine takes another case or a slash at the end for the same route. The gateway serves its clients as that route.
func TestValidate_OtherSpellingIsTheDocumentedRoute(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(express))
	for sent, want := range map[string]string{
		"/api/sessions/81/qr/?wait=0":               "/api/sessions/81/qr?wait=0",
		"/api/sessions/Shop-1/QR":                   "/api/sessions/Shop-1/qr",
		"/API/Sessions/81/qr":                       "/api/sessions/81/qr",
		"/api/Sessions/81/status/":                  "/api/sessions/81/status",
		"/api/sessions/":                            "/api/sessions",
		"/API/SESSIONS":                             "/api/sessions",
		"/api/sessions/STATS":                       "/api/sessions/stats",
		"HTTPS://qrgate.example/api/sessions/81/QR": "/api/sessions/81/qr",
	} {
		res := g.raw(t, "GET "+sent+" HTTP/1.1\r\nHost: qrgate\r\nConnection: close\r\n\r\n")
		if got, _ := url.QueryUnescape(res.Header.Get("X-Target")); got != want {
			t.Errorf("%s came out as %q: %d %s", sent, got, res.StatusCode, res.body)
		}
	}
}

func TestValidate_TargetReachesTheEngineUnchanged(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(express))
	for _, sent := range []string{
		"/api/messages/a/521%40s.whatsapp.net", "/api/groups/a%2d%5F%3a%2B%2c%26", "/x?a=%40&b=c;d&e=%zz&e=1", "/x?", "/x??",
		"/files/a'b(c)!*", "/files/caf%c3%a9%20(1).pdf", "/a/%7B1%7D", "/a/{1}|^`", "/a;b=1/c%3B", "/a%2Fb", "/%e9", "/x?q=a%20b+c",
		"/files/%2Fu%2Fb", "/a/https%3A%2F%2Fcdn.example%2Fa", "/a//b//",
	} {
		for _, origin := range []string{"", "http://gateway.example", "HTTP://gateway.example:80"} {
			res := g.raw(t, "GET "+origin+sent+" HTTP/1.1\r\nHost: qrgate\r\nConnection: close\r\n\r\n")
			if got, _ := url.QueryUnescape(res.Header.Get("X-Target")); got != sent {
				t.Errorf("%s came out as %s: %d %s", origin+sent, got, res.StatusCode, res.body)
			}
		}
	}
}

// Every request target is refused, or the engine finds the same route for it as qrgate.
func FuzzParseTarget_AgreesWithExpress(f *testing.F) {
	for target := range pathVectors {
		f.Add(target)
	}
	for template := range ourRoutes {
		f.Add(strings.Replace(template, "{id}", "81", 1))
	}
	f.Fuzz(func(t *testing.T, raw string) {
		outbound, path, problem := proxy.ParseTarget(raw)
		if problem != "" {
			return
		}
		route, id, isNear := compat.MatchRoute(path)
		if isNear && outbound == path { // validate writes the documented spelling
			outbound = strings.Replace(route, "{id}", id, 1)
			path = outbound
		} else if isNear {
			return
		}
		want, ok := ourRoutes[route]
		if !ok {
			want = "none"
		}
		if got, _ := expressRoute(outbound); got != want {
			t.Fatalf("%q goes out as %q: qrgate finds %q, the engine %q", raw, outbound, route, got)
		}
		if got, _ := expressRoute(path); got != want {
			t.Fatalf("%q: qrgate finds %q, a server that decodes it first would find %q", raw, route, got)
		}
	})
}
