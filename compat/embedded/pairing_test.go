package embedded_test

import (
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// onLoopback runs an engine on a simulator that listens on 127.0.0.1.
func onLoopback(t *testing.T, c embedded.Config) (*rig, *whatsappsim.Server) {
	t.Helper()
	srv := &whatsappsim.Server{PreKeys: fewKeys}
	c.HTTPClient = srv.HTTPClient(whatsappsimtest.Start(t, srv))
	return start(t, c), srv
}

func TestQRComesWithinASecond(t *testing.T) {
	t.Parallel()
	r, _ := onLoopback(t, embedded.Config{})
	r.connect("first")
	began := time.Now()
	r.untilStatus("first", "qr_code", patience)
	if took := time.Since(began); took > time.Second {
		t.Errorf("the QR took %v", took)
	}
	t.Logf("%v", time.Since(began))
	a := r.call("GET", "/api/sessions/first/qr")
	if a.status != 200 || a.data()["status"] != "qr_code" || a.data()["sessionId"] != "first" {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if _, _, _, _, err := whatsappsim.ParseQR(decode(t, a.data()["qrCode"].(string))); err != nil {
		t.Errorf("no phone would take this code: %v", err)
	}
}

func TestScanConnects(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	r.connect("first")
	began := time.Now()
	r.scan(srv, "first", "5550100")
	t.Logf("connected after %v", time.Since(began))
	d := r.call("GET", "/api/sessions/first/status").data()
	if d["isConnected"] != true || d["phoneNumber"] != "5550100" || d["hasQR"] != false {
		t.Errorf("%v", d)
	}
	if a := r.call("GET", "/api/sessions/first/qr"); a.status != 400 || a.code() != "SESSION_ALREADY_CONNECTED" {
		t.Errorf("qr of a linked session: %d %s", a.status, a.raw)
	}
}
