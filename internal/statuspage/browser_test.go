package statuspage_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"qrgate/internal/statuspage"
	"qrgate/internal/test/program"
)

// browser is a real one, before a page whose snapshot can be changed.
type browser struct {
	*testing.T
	ctx  context.Context
	base string
	now  atomic.Pointer[statuspage.Snapshot]
	down atomic.Bool

	mu       sync.Mutex
	requests []string
	problems []string
}

// screen is the size and the color scheme of a display.
type screen struct {
	name          string
	width, height int64
	mobile        bool
	scheme        string
}

// screens are a laptop and a small phone, light and dark.
func screens() []screen {
	return []screen{
		{"laptop-light", 1280, 900, false, "light"}, {"laptop-dark", 1280, 900, false, "dark"},
		{"phone-light", 360, 740, true, "light"}, {"phone-dark", 360, 740, true, "dark"},
	}
}

// chromium finds the browser, or ends the test.
func chromium(t *testing.T) string {
	t.Helper()
	return program.Find(t, "chromium", "chromium", "chromium-browser", "google-chrome")
}

// open starts a browser with a page that shows s.
func open(t *testing.T, s statuspage.Snapshot) *browser {
	t.Helper()
	path := chromium(t)
	b := &browser{T: t}
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
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", true), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	limited, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	allocator, free := chromedp.NewExecAllocator(limited, options...)
	ctx, quit := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); quit(); free(); stop() })
	b.ctx = ctx
	if err := chromedp.Listen(ctx, b.onEvent); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	tell(b, network.Enable, network.EnableParams{})
	tell(b, log.Enable, cdp.Empty{})
	tell(b, runtime.Enable, cdp.Empty{})
	return b
}

// onEvent records every request, and every problem that the browser reports.
func (b *browser) onEvent(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, "console: "+string(e.Type))
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.problems = append(b.problems, "log: "+e.Entry.Text)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// get runs an action that returns something.
func get[T any](b *browser, action chromedp.Action[T]) T {
	b.Helper()
	out, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// tell runs a command of the protocol.
func tell[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.Fatal(err)
	}
}

// eval asks the page.
func eval[T any](b *browser, script string) T {
	b.Helper()
	return get(b, chromedp.Evaluate[T](script))
}

// on opens a path of the page on a screen.
func (b *browser) on(s screen, path string) {
	b.Helper()
	tell(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.mobile})
	tell(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}})
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// until waits for something to be true of the page, which looks at each of its frames.
func (b *browser) until(what, script string) {
	b.Helper()
	limited, stop := context.WithTimeout(b.ctx, 40*time.Second)
	defer stop()
	look := `new Promise((done) => { const look = () => (` + script + `) ? done(true) : requestAnimationFrame(look); look(); })`
	if _, err := chromedp.Run(limited, chromedp.Evaluate[bool](look, chromedp.EvalAwaitPromise)); err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

// keep writes what is to be seen where -artifacts says.
func (b *browser) keep(name string) {
	b.Helper()
	picture, whole := get(b, chromedp.CaptureScreenshot()), get(b, chromedp.FullScreenshot(100))
	for suffix, png := range map[string][]byte{"": picture, "-whole": whole} {
		if err := os.WriteFile(filepath.Join(b.ArtifactDir(), name+suffix+".png"), png, 0o600); err != nil {
			b.Error(err)
		}
	}
}

// checkProblems fails if the browser reported a problem or made a foreign request.
func (b *browser) checkProblems() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	own, _ := url.Parse(b.base)
	for _, r := range b.requests {
		if u, err := url.Parse(r); err != nil || u.Host != own.Host {
			b.Errorf("the page asks %s", r)
		}
	}
	if len(b.requests) < 3 {
		b.Errorf("only %d requests were seen: %v", len(b.requests), b.requests)
	}
	if len(b.problems) > 0 {
		b.Errorf("the browser complains:\n%s", strings.Join(b.problems, "\n"))
	}
}
