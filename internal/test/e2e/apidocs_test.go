package e2e_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/test/browsertest"
)

// The viewer of the OpenAPI document loads from qrgate alone, shows every operation, and sends a request from the page of
// clients.
func TestAPIDocs_ShowOperations(t *testing.T) {
	whatsapp, addr := startWhatsApp(t)
	cfg := own(whatsapp, addr, t.TempDir())
	cfg.Docs, cfg.AdminListen = true, "127.0.0.1:0"
	r := start(t, whatsapp, addr, cfg)
	document, err := os.ReadFile("../../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := browsertest.Start(t, time.Minute)
	b.Show(browsertest.Screens()[0])
	for _, page := range []string{r.admin + "/docs/", r.base + "/_qrgate/docs"} {
		b.Open(page)
		b.Until(20*time.Second, `document.querySelectorAll('.opblock').length > 0`)
		shown := browsertest.Eval[int](b, `document.querySelectorAll('.opblock').length`)
		if want := strings.Count(string(document), "\n      operationId: "); shown < want {
			t.Errorf("%s shows %d operations, want at least %d", page, shown, want)
		}
		if !browsertest.Eval[bool](b, `document.body.innerText.includes('/api/sessions/{id}/qr')`) {
			t.Errorf("%s does not show the QR's path", page)
		}
	}
	b.Screenshot(t.ArtifactDir(), "api")
	b.CheckRequests(r.admin, r.base)
	b.CheckProblems()
}

// Without the setting, the viewer's path is the engine's.
func TestAPIDocs_OffByDefault(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "", app.Config{DataDir: t.TempDir()})
	res, err := http.Get(r.base + "/_qrgate/docs/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		t.Error("clients reach the viewer")
	}
}
