package enginesim_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"qrgate/internal/test/enginesim"
)

// The engine reads paths as Express 4 does; the rows were measured on a real one.
func TestRoutes_MatchLikeExpress(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{}
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	t.Cleanup(engine.Close)
	tests := []struct {
		method, path string
		want         enginesim.Route
	}{
		{"GET", "/api/sessions/81/qr", enginesim.RouteQR},
		{"GET", "/api/sessions/81/QR", enginesim.RouteQR},
		{"GET", "/API/Sessions/81/qr/", enginesim.RouteQR},
		{"GET", "/api/sessions/80%2f..%2f81/qr", enginesim.RouteQR},
		{"HEAD", "/api/sessions/81/qr", enginesim.RouteQR},
		{"GET", "/api/sessions/81%2fqr", enginesim.RouteGet},
		{"GET", "/api/sessions/81/%71r", enginesim.RouteUnknown},
		{"GET", "/api/sessions/81//qr", enginesim.RouteUnknown},
		{"GET", "/api/sessions//qr", enginesim.RouteUnknown},
		{"GET", "/api/sessions/./81/qr", enginesim.RouteUnknown},
		{"GET", "/api/sessions/x/../81/qr", enginesim.RouteUnknown},
		{"GET", "/api/sessions/81/qr;a=b", enginesim.RouteUnknown},
		{"GET", "/api/sessions/stats", enginesim.RouteStats},
		{"GET", "/api/sessions/frappe/sessions", enginesim.RouteFrappeSessions},
		{"GET", "/api/sessions/", enginesim.RouteList},
		{"POST", "/api/sessions?x=1", enginesim.RouteCreate},
		{"POST", "/api/sessions/81/qr", enginesim.RouteUnknown},
		{"GET", "/api/sessions/81/qr/status", enginesim.RouteUnknown},
		{"GET", "/api/messages/one/55501%40x/a", enginesim.RouteEcho},
		{"OPTIONS", "/api/sessions/81/qr", enginesim.RoutePreflight},
		{"GET", "/nothing", enginesim.RouteUnknown},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			if got := rawRoute(t, server.Listener.Addr().String(), test.method, test.path); got != test.want {
				t.Errorf("the engine thought %q, want %q", got, test.want)
			}
		})
	}
}

// rawRoute writes the request line itself, because Go's client would clean the path.
func rawRoute(t *testing.T, address, method, path string) enginesim.Route {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nX-API-Key: key-a\r\nConnection: close\r\n\r\n", method, path)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return enginesim.Route(response.Header.Get("X-Route"))
}
