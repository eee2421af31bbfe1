package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"qrgate/internal/test/browsertest"
	"qrgate/internal/test/whatsappsim"
)

// A person opens the link in a browser: the page connects the session, shows the code, renews it when the engine does,
// and tells within a second after the scan that the phone is linked.
func TestPairingPage_ScanToLinked(t *testing.T) {
	whatsapp, addr := startWhatsApp(t)
	r := start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir()))
	b := browsertest.Start(t, time.Minute)
	b.Show(browsertest.Screens()[0])
	r.want(r.call(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`), 201)
	link := r.want(r.call(http.MethodPost, "/api/sessions/shop-1/qr/link", `{}`), 201).Data.URL
	t.Log(link)
	b.Open(link)
	b.Until(5*time.Second, shown)
	dir := t.ArtifactDir()
	for _, s := range browsertest.Screens() {
		b.Show(s)
		for _, bad := range browsertest.Eval[[]string](b, browsertest.Accessible) {
			t.Error(s.Name, bad)
		}
		b.Screenshot(dir, "scan-"+s.Name)
	}
	r.scan(browsertest.Eval[string](b, `document.getElementById('qr').src`), "5550100")
	scannedAt := time.Now()
	b.Until(5*time.Second, `document.documentElement.dataset.phase === 'linked'`)
	t.Logf("linked after %v", time.Since(scannedAt))
	for _, s := range browsertest.Screens() {
		b.Show(s)
		b.Screenshot(dir, "linked-"+s.Name)
	}
	b.CheckRequests(r.base)
	b.CheckProblems()
	_ = whatsappsim.Fault{}
}

// shown is a script: a code is visible.
const shown = `document.getElementById('qr').checkVisibility() && document.getElementById('qr').naturalWidth > 0`
