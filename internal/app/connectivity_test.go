package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// Of two checks of WhatsApp the newer one counts, unless it ended before the step at which the older one failed.
func TestLatest_HandshakeResultStays(t *testing.T) {
	t.Parallel()
	at := func(minute int, step session.ConnectivityStep, code diagnosis.Code) session.ConnectivityResult {
		return session.ConnectivityResult{Step: step, Code: code, At: time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC)}
	}
	for name, c := range map[string]struct {
		older, newer session.ConnectivityResult
		want         int // the minute of the one that counts
	}{
		"only one":                      {session.ConnectivityResult{}, at(1, "", diagnosis.DNSFailed), 1},
		"it heals":                      {at(1, "", diagnosis.DNSFailed), at(2, session.StepUpgrade, diagnosis.None), 2},
		"it breaks":                     {at(1, session.StepUpgrade, diagnosis.None), at(2, session.StepTLS, diagnosis.TLSIntercepted), 2},
		"an upgrade proves no version":  {at(1, session.StepHandshake, diagnosis.ClientOutdated), at(2, session.StepUpgrade, diagnosis.None), 1},
		"a handshake does":              {at(1, session.StepHandshake, diagnosis.ClientOutdated), at(2, session.StepHandshake, diagnosis.None), 2},
		"worse than an outdated client": {at(1, session.StepHandshake, diagnosis.ClientOutdated), at(2, "", diagnosis.DNSFailed), 2},
	} {
		for _, got := range []session.ConnectivityResult{app.Latest(c.older, c.newer), app.Latest(c.newer, c.older)} {
			if got.At.Minute() != c.want {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

// A gateway that cannot reach WhatsApp at its start logs it once, checks again each minute, and logs the recovery.
func TestReachability_RecoversAfterFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: whatsappsim.Fault{HTTPStatus: http.StatusServiceUnavailable}}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		var log bytes.Buffer
		none := func() session.ConnectivityResult { return session.ConnectivityResult{} }
		run, shown := app.NewReachability(pipe.HTTPClient(), none, slog.New(slog.NewTextHandler(&log, nil)))
		if shown() != nil {
			t.Error("there is a result before the first attempt")
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		begin := time.Now()
		go func() { done <- run(ctx) }()
		time.Sleep(150 * time.Second)
		if w := shown(); w == nil || w.Code != diagnosis.WhatsAppUnavailable || !strings.Contains(strings.Join(w.Evidence, " "), "Service Unavailable") || w.FailingSince.Sub(begin) > time.Second || w.At.Sub(begin) < 2*time.Minute {
			t.Errorf("while it is unreachable: %+v", w)
		}
		srv.SetFault(whatsappsim.Fault{})
		time.Sleep(time.Minute)
		healed := time.Now()
		if w := shown(); !w.OK() || !w.FailingSince.IsZero() {
			t.Errorf("when it is reachable: %+v", w)
		}
		time.Sleep(time.Hour)
		if w := shown(); w.At.After(healed) {
			t.Error("it looks though all is well")
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if text := log.String(); strings.Count(text, "whatsapp unreachable") != 1 || strings.Count(text, "whatsapp reachable") != 1 {
			t.Errorf("the log says\n%s", text)
		}
		time.Sleep(20 * time.Second) // the simulator lets its ends go
	})
}

// An embedded engine without a connection to WhatsApp: the page and /readyz report within seconds that no QR can be made
// and why, and that the engine itself is up, before the first request for a QR.
func TestStatus_WhatsAppUnreachable(t *testing.T) {
	t.Parallel()
	nameless := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "web.whatsapp.com", IsNotFound: true}}
	}}}
	g, err := app.New(app.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", WhatsApp: nameless, Out: io.Discard, Logger: slog.New(slog.DiscardHandler),
		DataDir: t.TempDir(), APIKeys: []embedded.Key{{Name: "tests", Key: secret.NewSecret("a-key-of-the-tests-of-the-page")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var s statuspage.Snapshot
	settled := func() bool {
		res, err := client.Get(g.AdminURL() + "/status?format=json")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		s = statuspage.Snapshot{}
		if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		return s.Engine.State != statuspage.EngineUnknown && s.WhatsApp != nil
	}
	for end := time.Now().Add(40 * time.Second); !settled() && time.Now().Before(end); <-time.After(20 * time.Millisecond) {
	}
	v := s.Verdict
	if v.Level != statuspage.LevelFailing || v.Code != diagnosis.DNSFailed || !strings.Contains(v.Why, "cannot be resolved") || v.Since.IsZero() {
		t.Errorf("the verdict is %+v", v)
	}
	if s.Engine.State != statuspage.EngineUp || s.WhatsApp == nil || s.WhatsApp.Code != diagnosis.DNSFailed {
		t.Errorf("engine %+v, WhatsApp %+v", s.Engine, s.WhatsApp)
	}
	res, err := client.Get(g.AdminURL() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"status":"degraded"`) || !strings.Contains(string(body), "web.whatsapp.com") {
		t.Errorf("/readyz: %d %s", res.StatusCode, body)
	}
}
