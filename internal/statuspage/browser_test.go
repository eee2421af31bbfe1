package statuspage_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"qrgate/internal/statuspage"
	"qrgate/internal/test/browsertest"
)

// browser is a real one, before a page whose snapshot can be changed.
type browser struct {
	*browsertest.Browser
	base string
	now  atomic.Pointer[statuspage.Snapshot]
	down atomic.Bool
}

type screen = browsertest.Screen

// screens are a laptop and a small phone, light and dark.
func screens() []screen {
	return []screen{
		{Name: "laptop-light", Width: 1280, Height: 900, Scheme: "light"},
		{Name: "laptop-dark", Width: 1280, Height: 900, Scheme: "dark"},
		{Name: "phone-light", Width: 360, Height: 740, IsMobile: true, Scheme: "light"},
		{Name: "phone-dark", Width: 360, Height: 740, IsMobile: true, Scheme: "dark"},
	}
}

// open starts a browser with a page that shows s.
func open(t *testing.T, s statuspage.Snapshot) *browser {
	t.Helper()
	b := &browser{Browser: browsertest.Start(t, 2*time.Minute)}
	b.now.Store(&s)
	handler := statuspage.Handler(func() statuspage.Snapshot { return *b.now.Load() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.base = server.URL
	return b
}

// eval asks the page.
func eval[T any](b *browser, script string) T {
	b.Helper()
	return browsertest.Eval[T](b.Browser, script)
}

// on opens a path of the page on a screen.
func (b *browser) on(s screen, path string) {
	b.Helper()
	b.Show(s)
	b.Open(b.base + path)
	b.Do(chromedp.WaitReady(chromedp.CSS("main")))
}

// until waits for something to be true of the page, which evaluates it at each of its frames.
func (b *browser) until(script string) {
	b.Helper()
	b.Until(40*time.Second, script)
}

// keep writes what is to be seen where -artifacts says.
func (b *browser) keep(name string) {
	b.Helper()
	b.Screenshot(b.ArtifactDir(), name)
}

// checkProblems fails if the browser reported a problem or made a foreign request.
func (b *browser) checkProblems() {
	b.Helper()
	b.CheckRequests(b.base)
	b.CheckProblems()
}
