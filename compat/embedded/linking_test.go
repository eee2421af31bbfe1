package embedded_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/secret"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
	"qrgate/internal/webhook"
)

// WhatsApp refuses a scan and asks for another secret: the displayed code is renewed at once, and a second scan pairs.
func TestRefresh_RenewsTheDisplayedCode(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	srv.QueueFaults(whatsappsim.Fault{RefreshOnScan: true})
	r.connect("first")
	old := r.code("first")
	account := whatsappsim.Account{User: "5550100"}
	if err := srv.Scan(context.Background(), old, account); !errors.Is(err, whatsappsim.ErrRenew) {
		t.Fatalf("first scan: %v", err)
	}
	waitFor(t, "the renewed code", func() bool { return r.code("first") != old })
	if err := srv.Scan(context.Background(), old, account); !errors.Is(err, whatsappsim.ErrRenew) {
		t.Errorf("the old code again: %v", err)
	}
	r.scan(srv, "first", "5550100")
}

// An account with a passkey: the session reports it, keeps the connection, and pairs when a client sends the assertion.
func TestPasskey_FinishedThroughTheAPI(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	srv.QueueFaults(whatsappsim.Fault{Passkey: true})
	r.connect("first")
	if a := r.call("GET", "/api/sessions/first/passkey"); a.status != 404 || a.code() != "PASSKEY_NOT_REQUESTED" {
		t.Errorf("before the scan: %d %s", a.status, a.raw)
	}
	err := srv.Scan(context.Background(), r.code("first"), whatsappsim.Account{User: "5550100"})
	if !errors.Is(err, whatsappsim.ErrPasskey) {
		t.Fatalf("scan: %v", err)
	}
	r.until("first", waitTimeout, func(d map[string]any) bool {
		return d["status"] == "connecting" && reasonOf(d) == "passkey_required"
	})
	r.call("POST", "/api/sessions/first/connect") // a client that asks again interrupts nothing
	a := r.call("GET", "/api/sessions/first/passkey")
	options, _ := a.data()["publicKey"].(map[string]any)
	if a.status != 200 || a.data()["step"] != "assertion" || options["rpId"] != "whatsapp.com" || options["challenge"] == "" {
		t.Fatalf("passkey: %d %s", a.status, a.raw)
	}
	if a := r.call("POST", "/api/sessions/first/passkey", "{}"); a.status != 400 {
		t.Errorf("an empty assertion: %d %s", a.status, a.raw)
	}
	if a := r.call("POST", "/api/sessions/first/passkey", whatsappsim.PasskeyAssertion); a.status != 200 {
		t.Fatalf("assertion: %d %s", a.status, a.raw)
	}
	d := r.untilStatus("first", "connected", waitTimeout)
	if reasonOf(d) != "" || srv.Stats().Dials != 2 {
		t.Errorf("%v after %d dials", d, srv.Stats().Dials)
	}
}

// Without a proof of the scan the phone's owner compares a code, and a client confirms. The phone has not received the
// proof of the first assertion, so a client sends another one.
func TestPasskey_ConfirmedByCode(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	srv.QueueFaults(whatsappsim.Fault{PasskeyByCode: true})
	r.connect("first")
	_ = srv.Scan(context.Background(), r.code("first"), whatsappsim.Account{User: "5550100"})
	const path = "/api/sessions/first/passkey"
	r.until("first", waitTimeout, func(d map[string]any) bool { return reasonOf(d) == "passkey_required" })
	if a := r.call("POST", path, `{"confirm":true}`); a.status != 400 {
		t.Errorf("a confirmation without an assertion: %d %s", a.status, a.raw)
	}
	if a := r.call("POST", path, whatsappsim.PasskeyAssertion); a.status != 200 {
		t.Fatalf("assertion: %d %s", a.status, a.raw)
	}
	if a := r.call("POST", path, whatsappsim.PasskeyAssertion); a.status != 409 {
		t.Fatalf("another assertion at once: %d %s", a.status, a.raw)
	}
	waitFor(t, "another assertion", func() bool { return r.call("POST", path, whatsappsim.PasskeyAssertion).status == 200 })
	var code string
	waitFor(t, "the code", func() bool { code, _ = r.call("GET", path).data()["code"].(string); return code != "" })
	if code != srv.PasskeyCode() {
		t.Errorf("the code is %q, and the phone's %q", code, srv.PasskeyCode())
	}
	if a := r.call("GET", path); a.data()["step"] != "confirmation" || a.data()["publicKey"] != nil {
		t.Errorf("%s", a.raw)
	}
	if a := r.call("POST", path, whatsappsim.PasskeyAssertion); a.status != 400 {
		t.Errorf("an assertion instead of the confirmation: %d %s", a.status, a.raw)
	}
	if a := r.call("POST", path, `{"confirm":true}`); a.status != 200 {
		t.Fatalf("confirmation: %d %s", a.status, a.raw)
	}
	r.untilStatus("first", "connected", waitTimeout)
	if a := r.call("POST", path, `{"confirm":true}`); a.status != 404 {
		t.Errorf("a second confirmation: %d %s", a.status, a.raw)
	}
}

// A passkey that is not used in time ends the pairing, and no other one begins.
func TestPasskey_NotUsedInTimeStops(t *testing.T) {
	t.Parallel()
	runInBubble(t, whatsappsim.Fault{Passkey: true}, func(t *testing.T, r *rig, srv *whatsappsim.Server) {
		r.connect("first")
		_ = srv.Scan(context.Background(), r.code("first"), whatsappsim.Account{User: "5550100"})
		time.Sleep(4 * time.Minute)
		r.untilStatus("first", "connecting", time.Second)
		time.Sleep(2 * time.Minute)
		if d := r.untilStatus("first", "error", time.Second); reasonOf(d) != "passkey_required" {
			t.Errorf("%v", d)
		}
		if n := srv.Stats().Dials; n != 1 {
			t.Errorf("%d dials, want one", n)
		}
	})
}

func TestPairingCode_PairsWithoutAScan(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	r.make("first")
	for _, number := range []string{"", "123", "0555010000", "phone"} {
		a := r.call("POST", "/api/sessions/first/pairing-code", `{"phoneNumber":"`+number+`"}`)
		if a.status != 400 || a.code() != "VALIDATION_ERROR" {
			t.Errorf("number %q: %d %s", number, a.status, a.raw)
		}
	}
	a := r.call("POST", "/api/sessions/first/pairing-code", `{"phoneNumber":"+555 01-00123"}`)
	code, _ := a.data()["pairingCode"].(string)
	if a.status != 200 || len(code) != len("ABCD-EFGH") || a.data()["expiresIn"].(float64) < 120 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	account := whatsappsim.Account{User: "5550100123"}
	if err := srv.EnterCode(context.Background(), code, whatsappsim.Account{User: "5550100124"}); !errors.Is(err, whatsappsim.ErrCode) {
		t.Errorf("another phone: %v", err)
	}
	if err := srv.EnterCode(context.Background(), code, account); err != nil {
		t.Fatal(err)
	}
	d := r.untilStatus("first", "connected", waitTimeout)
	if d["phoneNumber"] != account.User {
		t.Errorf("%v", d)
	}
	if a := r.call("POST", "/api/sessions/first/pairing-code", `{"phoneNumber":"5550100123"}`); a.code() != "SESSION_ALREADY_CONNECTED" {
		t.Errorf("of a paired session: %d %s", a.status, a.raw)
	}
}

// A number that no phone has costs no connection. A paired session gets no code, and one that a client has disconnected
// stays so. A repeated request gets the same code, because another one would end it.
func TestPairingCode_OfEachState(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	r.make("first")
	const path = "/api/sessions/first/pairing-code"
	for _, number := range []string{`"0049170555"`, `"٣٤٥٦٧٨٩٠"`, `"555.010.0123"`, `"5550100\n"`, `5550100123`, `null`, `["5550100"]`,
		`"1234567890123456"`, `"+"`, `"++5550100123"`, `"555-010-012x"`} {
		if a := r.call("POST", path, `{"phoneNumber":`+number+`}`); a.status != 400 || a.code() != "VALIDATION_ERROR" {
			t.Errorf("number %s: %d %s", number, a.status, a.raw)
		}
	}
	if n := srv.Stats().Dials; n != 0 {
		t.Errorf("%d dials for wrong numbers", n)
	}
	codes := make([]string, 3)
	var clients sync.WaitGroup
	for i := range codes {
		clients.Go(func() {
			codes[i], _ = r.call("POST", path, `{"phoneNumber":"+555 (010) 0123"}`).data()["pairingCode"].(string)
		})
	}
	clients.Wait()
	if codes[0] == "" || codes[1] != codes[0] || codes[2] != codes[0] {
		t.Errorf("%q, want one code", codes)
	}
	if other := r.call("POST", path, `{"phoneNumber":"5550100124"}`).data()["pairingCode"]; other == nil || other == codes[0] {
		t.Errorf("the code of another number is %v", other)
	}
	r.scan(srv, "first", "5550100")
	r.call("POST", "/api/sessions/first/disconnect")
	if a := r.call("POST", path, `{"phoneNumber":"5550100123"}`); a.status != 400 || a.code() != "SESSION_ALREADY_CONNECTED" {
		t.Errorf("a paired session: %d %s", a.status, a.raw)
	}
	if d := r.call("GET", "/api/sessions/first/status").data(); d["status"] != "disconnected" {
		t.Errorf("the disconnected session is %v", d["status"])
	}
}

// Without WhatsApp the cause is named, and a client gets the response before it gives up.
func TestPairingCode_WithoutWhatsApp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault whatsappsim.Fault
		want  string
	}{
		"unavailable": {whatsappsim.Fault{HTTPStatus: 503}, "whatsapp_unavailable"},
		"silent":      {whatsappsim.Fault{SilentIQ: true}, "whatsapp_silent"},
		"no codes":    {whatsappsim.Fault{NoPairDevice: true}, "PAIRING_CODE_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runInBubble(t, c.fault, func(t *testing.T, r *rig, _ *whatsappsim.Server) {
				r.make("first")
				began := time.Now()
				a := r.call("POST", "/api/sessions/first/pairing-code", `{"phoneNumber":"5550100123"}`)
				if a.status != 503 || a.code() != c.want || time.Since(began) > 9500*time.Millisecond {
					t.Errorf("%d %s after %v", a.status, a.raw, time.Since(began))
				}
			})
		})
	}
}

// A create whose webhook cannot be stored stores nothing, so that it can be repeated.
func TestCreate_UnstoredWebhookLeavesNoSession(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{DataDir: t.TempDir()})
	r.stop()
	execute(t, r.config.DataDir, "CREATE TRIGGER no BEFORE INSERT ON qrgate_webhook BEGIN SELECT RAISE(ABORT, 'no'); END")
	again := start(t, r.config)
	const body = `{"sessionId":"first","sessionName":"x","webhookUrl":"https://a.example"}`
	if a := again.call("POST", "/api/sessions", body); a.status != 500 {
		t.Errorf("create: %d %s", a.status, a.raw)
	}
	again.make("first")
	if a := again.call("PUT", "/api/sessions/first/webhook", body); a.status != 503 {
		t.Errorf("webhook: %d %s", a.status, a.raw)
	}
	again.stop()
	execute(t, r.config.DataDir, "DROP TRIGGER no")
	last := start(t, r.config)
	if a := last.call("GET", "/api/sessions"); a.data()["total"] != 1.0 {
		t.Errorf("%s", a.raw)
	}
}

// Two assertions at the same time: one is sent, and the pairing succeeds.
func TestPasskey_SentTwicePairs(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	srv.QueueFaults(whatsappsim.Fault{Passkey: true})
	r.connect("first")
	_ = srv.Scan(context.Background(), r.code("first"), whatsappsim.Account{User: "5550100"})
	r.until("first", waitTimeout, func(d map[string]any) bool { return reasonOf(d) == "passkey_required" })
	var sent atomic.Int32
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			a := r.call("POST", "/api/sessions/first/passkey", whatsappsim.PasskeyAssertion)
			switch {
			case a.status == 200:
				sent.Add(1)
			case a.status != 409 && a.status != 404:
				t.Errorf("%d %s", a.status, a.raw)
			}
		})
	}
	clients.Wait()
	r.untilStatus("first", "connected", waitTimeout)
	if sent.Load() != 1 {
		t.Errorf("%d assertions were sent", sent.Load())
	}
}

// The common webhook gets the events of sessions without one of their own, but not of the probes'.
func TestWebhook_CommonOne(t *testing.T) {
	t.Parallel()
	common, own := &hookReceiver{}, &hookReceiver{}
	common.reset(false)
	own.reset(false)
	servers := []*httptest.Server{httptest.NewServer(common), httptest.NewServer(own)}
	for _, s := range servers {
		t.Cleanup(s.Close)
	}
	target, err := webhook.NewTarget(servers[0].URL, secret.NewSecret("the secret of the webhook"), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	const probeKey = "key-probe-0000000000"
	r, _ := onLoopback(t, embedded.Config{Keys: keys(t, "a:"+keyA+",probes:"+probeKey), Webhook: target, ProbeAccount: "probes",
		AllowPrivateWebhooks: true})
	const create = `{"sessionId":"%s","sessionName":"x"%s}`
	r.callAs(keyA, "POST", "/api/sessions", fmt.Sprintf(create, "with", `,"webhookUrl":"`+servers[1].URL+`"`))
	r.callAs(keyA, "POST", "/api/sessions", fmt.Sprintf(create, "without", ""))
	r.callAs(probeKey, "POST", "/api/sessions", fmt.Sprintf(create, "probe", ""))
	r.callAs(probeKey, "POST", "/api/sessions/probe/connect")
	for _, id := range []string{"with", "without"} {
		r.call("POST", "/api/sessions/"+id+"/connect")
		r.code(id)
	}
	waitFor(t, "the events", func() bool { return len(common.events("without")) > 0 && len(own.events("with")) > 0 })
	waitFor(t, "the probe's code", func() bool {
		return r.callAs(probeKey, "GET", "/api/sessions/probe/status").data()["status"] == "qr_code"
	})
	if got := append(common.events("with"), common.events("probe")...); len(got) > 0 || len(own.events("without")) > 0 {
		t.Errorf("other events: %v, %v", got, own.events("without"))
	}
}

// PUT …/webhook changes the members that its body has.
func TestWebhook_IsChangedInParts(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{})
	r.make("first")
	const path = "/api/sessions/first/webhook"
	for _, c := range []struct{ body, wantURL, wantEvents string }{
		{`{}`, "<nil>", "[]"},
		{`{"webhookSecret":"s"}`, "<nil>", "[]"},
		{`{"webhookUrl":"https://a.example","webhookEvents":["session.connected","message.received"]}`, "https://a.example", "[session.connected]"},
		{`{"webhookSecret":"other"}`, "https://a.example", "[session.connected]"},
		{`{"webhookUrl":"https://b.example"}`, "https://b.example", "[session.connected]"},
		{`{"webhookEvents":["session.qr"]}`, "https://b.example", "[session.qr]"},
		{`{"webhookUrl":null}`, "<nil>", "[]"},
		{`{"webhookUrl":"https://c.example"}`, "https://c.example", "[session.qr session.connected session.disconnected session.failed]"},
		{`{"webhookUrl":""}`, "<nil>", "[]"},
	} {
		a := r.call("PUT", path, c.body)
		url, events := fmt.Sprint(a.data()["webhookUrl"]), fmt.Sprint(a.data()["webhookEvents"])
		if a.status != 200 || url != c.wantURL || events != c.wantEvents {
			t.Errorf("%s: %d %s", c.body, a.status, a.raw)
		}
	}
	for _, body := range []string{`{"webhookUrl":5}`, `{"webhookUrl":"https://127.0.0.1"}`, `{"webhookUrl":"http://a.example"}`,
		`{"webhookUrl":"https://[::1]"}`, `{"webhookUrl":"https://169.254.169.254/latest"}`, `{"webhookUrl":"https://a.example:99999"}`,
		`{"webhookUrl":"https://u:p@a.example"}`, `{"webhookEvents":"session.qr"}`, `{`} {
		if a := r.call("PUT", path, body); a.status != 400 || a.code() != "VALIDATION_ERROR" {
			t.Errorf("%s: %d %s", body, a.status, a.raw)
		}
	}
}

// An outdated version is replaced by the one that WhatsApp's page names, without a new build.
func TestVersion_OutdatedIsLookedUp(t *testing.T) {
	t.Parallel()
	const newer = 2_000_000_000
	srv := &whatsappsim.Server{PreKeys: preKeyCount, Revision: newer, Fault: whatsappsim.Fault{MinRevision: newer}}
	r := start(t, embedded.Config{HTTPClient: srv.HTTPClient(whatsappsimtest.Start(t, srv))})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	r.connect("second") // the version is known now
	r.code("second")
}

func TestVersion_ConfiguredIsPresented(t *testing.T) {
	t.Parallel()
	if embedded.ParseVersion("2.3000") == nil || embedded.ParseVersion("2.3000.1999999999") != nil {
		t.Error("ParseVersion")
	}
	srv := &whatsappsim.Server{Fault: whatsappsim.Fault{MinRevision: 1_999_999_999}}
	r := start(t, embedded.Config{HTTPClient: srv.HTTPClient(whatsappsimtest.Start(t, srv)), Version: "2.3000.1999999999"})
	r.connect("first")
	r.code("first")
	if n := srv.Stats().Dials; n != 1 {
		t.Errorf("%d dials", n)
	}
}

// Without a newer version the session stops, after one lookup.
func TestVersion_OutdatedWithoutANewerOneStops(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{Revision: 5, Fault: whatsappsim.Fault{Failure: 405}}
	r := start(t, embedded.Config{HTTPClient: srv.HTTPClient(whatsappsimtest.Start(t, srv))})
	r.connect("first")
	if d := r.untilStatus("first", "error", waitTimeout); reasonOf(d) != "client_outdated" {
		t.Errorf("%v", d)
	}
}

// A webhook receives the session's events in order, signed over the exact bytes.
func TestWebhook_ReceivesSessionEvents(t *testing.T) {
	t.Parallel()
	type received struct{ Event, Status, Phone string }
	got := make(chan received, 9)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, _ := io.ReadAll(req.Body)
		mac := hmac.New(sha256.New, []byte("shared"))
		mac.Write(raw)
		if req.Header.Get("X-Webhook-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %q of %s", req.Header.Get("X-Webhook-Signature"), raw)
		}
		var body struct {
			Event, SessionID, Timestamp string
			Data                        struct{ Status, PhoneNumber, QRCode, ExpiresAt string }
		}
		if err := json.Unmarshal(raw, &body); err != nil || body.SessionID != "first" || body.Timestamp == "" ||
			req.Header.Get("X-Webhook-Event") != body.Event || req.Header.Get("X-Webhook-Session") != "first" ||
			(body.Event == "session.qr") != (body.Data.QRCode != "" && body.Data.ExpiresAt != "") {
			t.Errorf("%v: %s", err, raw)
		}
		got <- received{body.Event, body.Data.Status, body.Data.PhoneNumber}
	}))
	t.Cleanup(hook.Close)
	r, srv := onLoopback(t, embedded.Config{AllowPrivateWebhooks: true})
	body := `{"sessionId":"first","sessionName":"x","webhookUrl":"` + hook.URL + `","webhookSecret":"shared"}`
	if a := r.call("POST", "/api/sessions", body); a.status != 201 || a.data()["webhookUrl"] != hook.URL {
		t.Fatalf("create: %d %s", a.status, a.raw)
	}
	r.call("POST", "/api/sessions/first/connect")
	r.scan(srv, "first", "5550100")
	r.call("POST", "/api/sessions/first/disconnect")
	for _, want := range []received{
		{"session.qr", "qr_code", ""}, {"session.connected", "connected", "5550100"},
		{"session.disconnected", "disconnected", "5550100"},
	} {
		select {
		case e := <-got:
			if e != want {
				t.Errorf("%+v, want %+v", e, want)
			}
		case <-time.After(waitTimeout):
			t.Fatalf("no %+v", want)
		}
	}
}
