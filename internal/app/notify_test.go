package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"qrgate/internal/app"
	"qrgate/internal/notify"
)

// The operators' port sends a test notification, but not for a page of another site.
func TestNotify_TestFromOperatorsPort(t *testing.T) {
	received := make(chan string, 2)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- string(body)
	}))
	engine := httptest.NewServer(http.NotFoundHandler())
	base, err := url.Parse(engine.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		hook.Close()
		engine.Close()
	})
	gateway := runGateway(t, app.Config{
		AdminListen: "127.0.0.1:0", EngineURL: base,
		NotifyAddresses: notify.ParseAddresses("generic+" + hook.URL + "/x"),
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for site, want := range map[string]int{"same-origin": http.StatusOK, "cross-site": http.StatusForbidden} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gateway.AdminURL()+"/notify/test", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", site)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", site, res.StatusCode, want)
		}
	}
	if text := <-received; !strings.Contains(text, "There is no outage") || len(received) != 0 {
		t.Errorf("received %q and %d more", text, len(received))
	}
}
