package e2e_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"qrgate/internal/test/whatsappsim"
)

// With real whatsmeow, qrgate returns a QR within a second, the session is connected after the scan and after a restart
// of qrgate, and a delete removes it.
func TestWhatsmeow_CreateToDelete(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// WhatsApp refuses a scan and asks for another secret: the stream of the session, and the next request, have the renewed
// code within a second, although the old one had time left.
func TestWhatsmeow_RenewedCodeIsServedAtOnce(t *testing.T) {
	t.Parallel()
	whatsapp, addr := startWhatsApp(t)
	r := start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir()))
	whatsapp.SetFault(whatsappsim.Fault{RefreshOnScan: true})
	r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	r.want(r.call(http.MethodPost, "/api/sessions/shop-1/connect", "{}"), 200)
	old := r.want(r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""), 200).Data.QRCode
	followed := make(chan response, 1)
	isRenewed := func(res response) bool { return res.Data.Sequence == 2 || res.Data.State == "connecting" }
	go func() {
		res := response{}
		for end := time.Now().Add(15 * time.Second); !isRenewed(res) && time.Now().Before(end); {
			// Short waits: a change between two requests is not waited for.
			res = r.call(http.MethodGet, "/api/sessions/shop-1/qr/status?wait=1", "")
		}
		followed <- res
	}()
	<-time.After(500 * time.Millisecond)
	err := r.tryScan(old, "5550100")
	if !errors.Is(err, whatsappsim.ErrRenew) {
		t.Fatalf("first scan: %v", err)
	}
	scannedAt := time.Now()
	if a := <-followed; !isRenewed(a) {
		t.Errorf("the waiting request got %+v", a.Data)
	}
	renewed := r.want(r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""), 200).Data.QRCode
	if took := time.Since(scannedAt); renewed == old || took > 5*time.Second { // a second on an idle machine
		t.Errorf("after %v the code is new: %v", took, renewed != old)
	}
	r.scan(renewed, "5550100")
	r.becomes("shop-1", "connected", 6*time.Second)
}

// An account with a passkey: the cause is named within 5 s, no new pairing begins, and the API finishes the first one.
func TestWhatsmeow_PasskeyIsNamedAndFinished(t *testing.T) {
	t.Parallel()
	whatsapp, addr := startWhatsApp(t)
	r := start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir()))
	whatsapp.SetFault(whatsappsim.Fault{Passkey: true})
	r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	r.want(r.call(http.MethodPost, "/api/sessions/shop-1/connect", "{}"), 200)
	qr := r.want(r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""), 200)
	err := r.tryScan(qr.Data.QRCode, "5550100")
	if !errors.Is(err, whatsappsim.ErrPasskey) {
		t.Fatalf("scan: %v", err)
	}
	scannedAt, dials := time.Now(), whatsapp.Stats().Dials
	for time.Since(scannedAt) < 15*time.Second {
		a := r.call(http.MethodGet, "/api/sessions/shop-1/qr", "")
		if a.status == 503 && a.Code == "passkey_required" {
			<-time.After(time.Second)
			continue
		}
		if time.Since(scannedAt) > 5*time.Second {
			t.Fatalf("after %v: %d %s", time.Since(scannedAt), a.status, a.Code)
		}
	}
	if n := whatsapp.Stats().Dials; n != dials {
		t.Errorf("%d new pairings began", n-dials)
	}
	r.want(r.call(http.MethodGet, "/api/sessions/shop-1/passkey", ""), 200)
	r.want(r.call(http.MethodPost, "/api/sessions/shop-1/passkey", whatsappsim.PasskeyAssertion), 200)
	r.becomes("shop-1", "connected", 6*time.Second)
}

// A version that WhatsApp refuses is replaced by the one that its page names.
func TestWhatsmeow_OutdatedVersionHeals(t *testing.T) {
	t.Parallel()
	whatsapp, addr := startWhatsApp(t)
	whatsapp.Revision = 2_000_000_000
	whatsapp.SetFault(whatsappsim.Fault{MinRevision: 2_000_000_000})
	r := start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir()))
	r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	r.want(r.call(http.MethodPost, "/api/sessions/shop-1/connect", "{}"), 200)
	r.want(r.call(http.MethodGet, "/api/sessions/shop-1/qr", ""), 200)
}

func TestWhatsmeow_PairingCode(t *testing.T) {
	t.Parallel()
	whatsapp, addr := startWhatsApp(t)
	r := start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir()))
	r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	a := r.want(r.call(http.MethodPost, "/api/sessions/shop-1/pairing-code", `{"phoneNumber":"5550100"}`), 200)
	if err := whatsapp.EnterCode(t.Context(), a.Data.PairingCode, whatsappsim.Account{User: "5550100"}); err != nil {
		t.Fatal(err)
	}
	r.becomes("shop-1", "connected", 6*time.Second)
}
