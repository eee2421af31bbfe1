// Package browsertest drives a real browser in tests.
package browsertest

import (
	"context"
	_ "embed"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"qrgate/internal/test/program"
)

// Browser is one tab of a headless Chromium.
type Browser struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string
	problems []string
}

// Screen is the size and the color scheme of a display.
type Screen struct {
	Name          string
	Width, Height int64
	IsMobile      bool
	Scheme        string // light or dark
}

// Screens are a laptop and a small phone, light and dark.
func Screens() []Screen {
	return []Screen{
		{"laptop-light", 1280, 900, false, "light"}, {"laptop-dark", 1280, 900, false, "dark"},
		{"phone-light", 375, 812, true, "light"}, {"phone-dark", 375, 812, true, "dark"},
	}
}

// Start starts a browser that ends with the test. Without a browser the test is skipped, or fails where CI requires it.
func Start(t testing.TB, timeout time.Duration) *Browser {
	t.Helper()
	path := program.Find(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("headless", true), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun)
	for _, name := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
	} {
		options = append(options, chromedp.Flag(name, true))
	}
	limited, stop := context.WithTimeout(context.Background(), timeout)
	allocator, free := chromedp.NewExecAllocator(limited, options...)
	ctx, quit := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); quit(); free(); stop() })
	b := &Browser{TB: t, ctx: ctx}
	b.listen()
	return b
}

// Tab opens another tab of the same browser. It ends with the test.
func (b *Browser) Tab() *Browser {
	b.Helper()
	ctx, quit := chromedp.NewContext(b.ctx)
	b.Cleanup(quit)
	tab := &Browser{TB: b.TB, ctx: ctx}
	tab.listen()
	return tab
}

// listen records every request, and every problem that the browser reports.
func (b *Browser) listen() {
	b.Helper()
	if err := chromedp.Listen(b.ctx, b.onEvent); err != nil {
		b.Fatalf("chromium does not start: %v", err)
	}
	Call(b, network.Enable, network.EnableParams{})
	Call(b, log.Enable, cdp.Empty{})
	Call(b, runtime.Enable, cdp.Empty{})
}

func (b *Browser) onEvent(event any) {
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

// Do runs steps.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// Get runs an action that returns something.
func Get[T any](b *Browser, action chromedp.Action[T]) T {
	b.Helper()
	out, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// Call runs a command of the browser's protocol.
func Call[P, R any](b *Browser, command cdp.Command[P, R], params P) R {
	b.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.Fatal(err)
	}
	return result
}

// Eval evaluates a script in the page.
func Eval[T any](b *Browser, script string) T {
	b.Helper()
	return Get(b, chromedp.Evaluate[T](script))
}

// Show sets the size and the color scheme of the display.
func (b *Browser) Show(s Screen) {
	b.Helper()
	Call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: s.Width, Height: s.Height, DeviceScaleFactor: 1, Mobile: s.IsMobile,
	})
	Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.Scheme}},
	})
}

// SetLanguage sets the browser's Accept-Language.
func (b *Browser) SetLanguage(accept string) {
	b.Helper()
	Call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
		Headers: network.Headers{"Accept-Language": accept},
	})
}

// Open opens a page.
func (b *Browser) Open(address string) {
	b.Helper()
	b.Do(chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("body")))
}

// Until waits until a script is true of the page, which it evaluates at each frame.
func (b *Browser) Until(timeout time.Duration, script string) {
	b.Helper()
	limited, stop := context.WithTimeout(b.ctx, timeout)
	defer stop()
	check := `new Promise((done) => {
		const check = () => (` + script + `) ? done(true) : requestAnimationFrame(check);
		check();
	})`
	if _, err := chromedp.Run(limited, chromedp.Evaluate[bool](check, chromedp.EvalAwaitPromise)); err != nil {
		state, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		b.Fatalf("%s: %v; the page shows %q", script, err, state)
	}
}

// Screenshot writes what is visible to a PNG in a directory.
func (b *Browser) Screenshot(dir, name string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(dir, name+".png"), Get(b, chromedp.CaptureScreenshot()), 0o600); err != nil {
		b.Error(err)
	}
}

// CheckRequests fails if the page requested something from another origin than these.
func (b *Browser) CheckRequests(origins ...string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		b.Error("no request was seen")
	}
	for _, r := range b.requests {
		u, err := url.Parse(r)
		if err != nil || u.Scheme != "data" && !slices.Contains(origins, u.Scheme+"://"+u.Host) {
			b.Errorf("the page requests %s", r)
		}
	}
}

// CheckProblems fails if the browser reported a problem that contains none of these texts.
func (b *Browser) CheckProblems(expected ...string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		isExpected := func(text string) bool { return strings.Contains(problem, text) }
		if !slices.ContainsFunc(expected, isExpected) {
			b.Errorf("the browser reports %s", problem)
		}
	}
}

// Accessible is a script that lists what automatic checks of accessibility find: text too pale for its background
// (WCAG 2.2, 1.4.3), controls without a name, images without a text, a heading order with gaps, targets that are too
// small for a finger, and content wider than the screen.
//
//go:embed accessible.js
var Accessible string
