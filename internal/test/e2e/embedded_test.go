package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"qrgate/internal/test/whatsappsim"
)

// With real whatsmeow, qrgate returns a QR within a second, the session is connected after the scan and after a restart
// of qrgate, and a delete removes it.
func TestWhatsmeow_CreateToDelete(t *testing.T) {
	whatsapp, addr := startWhatsApp(t)
	dir := t.TempDir()
	r := start(t, whatsapp, addr, own(whatsapp, addr, dir))
	made := r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	if made.Data.ID == 0 || made.Data.Session.ID != made.Data.ID {
		t.Errorf("create: %+v", made.Data)
	}
	r.want(r.call(http.MethodPost, "/api/sessions/shop-1/connect", "{}"), 200)
	qr := r.want(r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""), 200)
	if qr.took > time.Second || qr.Data.Status != "qr_code" || qr.Data.ExpiresIn < 50 {
		t.Errorf("the QR took %v: %s, %d s left", qr.took, qr.Data.Status, qr.Data.ExpiresIn)
	}
	r.becomes("shop-1", "qr_code", time.Second)
	r.scan(qr.Data.QRCode, "5550100")
	r.becomes("shop-1", "connected", 6*time.Second)
	if a := r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""); a.status != 409 || a.Code != "SESSION_ALREADY_CONNECTED" {
		t.Errorf("the QR of a linked session: %d %s", a.status, a.Code)
	}

	r.stop()
	r = start(t, whatsapp, addr, own(whatsapp, addr, dir))
	r.becomes("shop-1", "connected", 10*time.Second)
	r.want(r.call(http.MethodDelete, "/api/sessions/shop-1", ""), 200)
	r.want(r.call(http.MethodGet, "/api/sessions/shop-1/status", ""), 404)
}

// WhatsApp refuses the library's version: the client gets the cause at once.
func TestWhatsmeow_Outdated(t *testing.T) {
	whatsapp, addr := startWhatsApp(t)
	whatsapp.SetFault(whatsappsim.Fault{Failure: 405})
	r := start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir()))
	r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	r.want(r.call(http.MethodPost, "/api/sessions/shop-1/connect", "{}"), 200)
	a := r.want(r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""), 503)
	if a.Code != "client_outdated" {
		t.Errorf("the code is %q", a.Code)
	}
}

// A session that waits for its turn to dial reports its place, and no cause.
func TestWhatsmeow_QueuedSessionReportsItsPlace(t *testing.T) {
	whatsapp, addr := startWhatsApp(t)
	cfg := own(whatsapp, addr, t.TempDir())
	cfg.EngineLimits.Dials = 1
	r := start(t, whatsapp, addr, cfg)
	whatsapp.SetFault(whatsappsim.Fault{HangUpgrade: true})
	for _, id := range []string{"shop-1", "shop-2", "shop-3"} {
		r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"`+id+`","sessionName":"Shop"}`), 201)
		r.want(r.call(http.MethodPost, "/api/sessions/"+id+"/connect", "{}"), 200)
	}
	<-time.After(9 * time.Second)
	whatsapp.SetFault(whatsappsim.Fault{})
	a := r.want(r.call(http.MethodGet, "/api/sessions/shop-3/qr/status", ""), 200)
	if a.Data.Queue == nil || a.Data.Queue.Place != 2 || a.Data.Diagnosis != nil {
		t.Errorf("queue %+v, diagnosis %+v", a.Data.Queue, a.Data.Diagnosis)
	}
	r.becomes("shop-3", "qr_code", 20*time.Second)
}
