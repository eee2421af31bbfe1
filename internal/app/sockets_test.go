package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
)

// sockets is app.New in front of an engine, both on loopback ports and in real time. stop ends qrgate and
// returns what Run did.
func sockets(t *testing.T, engine *enginesim.Engine) (r *rig, stop func() error) {
	t.Helper()
	upstream := httptest.NewServer(engine)
	t.Cleanup(func() { engine.Close(); upstream.Close() })
	base, _ := url.Parse(upstream.URL)
	return running(t, engine, app.Config{EngineURL: base, Logger: slog.New(slog.DiscardHandler)})
}

// running is sockets with settings of the test's own; the rig's engine is the one that they name.
func running(t *testing.T, engine *enginesim.Engine, cfg app.Config) (r *rig, stop func() error) {
	t.Helper()
	cfg.Listen, cfg.AdminListen, cfg.Out = "127.0.0.1:0", "127.0.0.1:0", io.Discard
	g, err := app.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 50}
	seen := &responseChecker{t: t, next: transport}
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		transport.CloseIdleConnections()
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("qrgate ended with %v", err)
		}
	})
	return &rig{T: t, engine: engine, base: g.URL(), admin: g.AdminURL(), http: &http.Client{Transport: seen}, checker: seen}, stop
}

// The clients that request the QR early, all at once and with one key, over real sockets: the incident, four times as fast.
func TestSockets_Clients(t *testing.T) {
	t.Parallel()
	engine := enginesim.Incident()
	engine.QRDelay = time.Second
	engine.Limits.Sessions.Max = 60 // thirty clients' worth in one minute
	r, _ := sockets(t, engine)
	t.Run("group", func(t *testing.T) {
		for _, c := range clienttest.All() {
			switch c.Name {
			case "create_session", "test_rapido_final", "baileys_issue_analysis", "quick_test_baileys_fix", "gs_class":
			default:
				continue
			}
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				got := c.Run(t.Context(), r.target("key-a"))
				if got.Err != nil || !got.GotQR {
					t.Errorf("no QR after %v: %v %+v", got.Took, got.Err, got.Steps)
				}
			})
		}
	})
	r.none429()
}

// What only a real server shows: methods without a body, and a preflight.
func TestSockets_Methods(t *testing.T) {
	t.Parallel()
	r, _ := sockets(t, &enginesim.Engine{})
	id := r.create("crm-1")
	res := r.send("OPTIONS", "/api/sessions/"+id+"/qr", "", "X-API-Key", "-", "Origin", "https://crm.example",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-api-key")
	if res.StatusCode != http.StatusNoContent || res.Header.Get("Access-Control-Allow-Origin") != "https://crm.example" || res.Header.Get("Access-Control-Allow-Headers") != "x-api-key" {
		t.Errorf("OPTIONS: %d %v", res.StatusCode, res.Header)
	}
	r.connect(id)
	for _, path := range []string{"", "/" + id, "/" + id + "/qr", "/" + id + "/status", "/" + id + "/qr/status"} {
		got, head := r.get("/api/sessions"+path), r.send("HEAD", "/api/sessions"+path, "", "Accept", "text/event-stream")
		if head.body != "" || head.StatusCode != http.StatusOK || head.Header.Get("Content-Type") != got.Header.Get("Content-Type") || head.ContentLength <= 0 {
			t.Errorf("HEAD %s: %d %q %v, GET: %d", path, head.StatusCode, head.body, head.Header, got.StatusCode)
		}
	}
	if res := r.send("PUT", "/api/sessions/"+id+"/qr", "{}"); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", res.StatusCode)
	}
}

// A body without an announced length is bounded too.
func TestSockets_LargeBody(t *testing.T) {
	t.Parallel()
	r, _ := sockets(t, &enginesim.Engine{})
	req, _ := http.NewRequest("POST", r.base+"/api/sessions", io.MultiReader(strings.NewReader(`{"a":"`), strings.NewReader(strings.Repeat("x", 2<<20))))
	req.Header.Set("X-API-Key", "key-a")
	r.do(req).wantsCode(http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
	if n := r.calls(0); n != 0 {
		t.Errorf("%d calls reached the engine", n)
	}
}

// A gateway that stops responds to its waiting requests.
func TestSockets_Stopping(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{QRDelay: time.Second}
	r, stop := sockets(t, engine)
	id := r.create("crm-1")
	r.connect(id)
	waited := make(chan response, 1)
	go func() { waited <- r.get("/api/sessions/" + id + "/qr") }()
	for r.calls(0, enginesim.RouteQR) == 0 { // the acquisition has begun
		time.Sleep(10 * time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for r.readyz() == http.StatusOK { // until it reports that it stops, while the waiting request is served
		time.Sleep(time.Millisecond)
	}
	if got := r.readyz(); got != http.StatusServiceUnavailable {
		t.Errorf("while it stops /readyz returns %d", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("qrgate ended with %v", err)
	}
	a := <-waited
	a.wants(http.StatusOK)
	a.wantsQR()
}

// readyz is the status of the operators' port; 0 when it is closed.
func (r *rig) readyz() int {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(r.admin + "/readyz")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// A port that is taken is an error of New, and names the setting.
func TestNew_PortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, which := range []string{"QRGATE_LISTEN", "QRGATE_ADMIN_LISTEN"} {
		cfg := app.Config{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", EngineURL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"},
			Out: io.Discard, Logger: slog.New(slog.DiscardHandler)}
		if which == "QRGATE_LISTEN" {
			cfg.Listen = l.Addr().String()
		} else {
			cfg.AdminListen = l.Addr().String()
		}
		if _, err := app.New(cfg); err == nil || !strings.Contains(err.Error(), which) {
			t.Errorf("the error is %v, want one about %s", err, which)
		}
	}
}
