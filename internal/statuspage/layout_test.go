package statuspage_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"qrgate/internal/statuspage"
	"qrgate/internal/test/browsertest"
)

// pale lists text that is too pale for its background (WCAG 2.2, 1.4.3: 4.5 to 1, or 3 to 1 when large), and
// marks that are too pale to be seen (1.4.11: 3 to 1).
const pale = `(() => {
  const rgb = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = rgb(c).map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const ground = (el) => { for (; el; el = el.parentElement) { const c = getComputedStyle(el).backgroundColor, v = rgb(c); if (v.length < 4 || v[3] > 0) return c; } return 'rgb(255, 255, 255)'; };
  const bad = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !el.checkVisibility() || el.closest('svg')) continue;
    const style = getComputedStyle(el), size = parseFloat(style.fontSize);
    const least = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5;
    const got = ratio(style.color, ground(el));
    seen++;
    if (got < least) bad.push(got.toFixed(2) + ' ' + walker.currentNode.textContent.trim().slice(0, 40));
  }
  for (const el of document.querySelectorAll('.strip .ok, .strip .bad, .strip .void, .bar rect:not(.empty), .legend rect, .sign .fill')) {
    const style = getComputedStyle(el), mark = el.closest('.strip');
    const ink = !mark ? style.fill : el.className === 'void' ? style.borderTopColor : style.backgroundColor;
    const got = ratio(ink, ground((mark || el.closest('svg')).parentElement));
    seen++;
    if (got < 3) bad.push(got.toFixed(2) + ' mark ' + el.getAttribute('class') + ' in ' + el.parentElement.getAttribute('class'));
  }
  if (seen < 40) bad.push('only ' + seen + ' things were measured');
  return [...new Set(bad)];
})()`

// wide lists what is wider than the screen.
const wide = `(() => {
  const all = document.documentElement, over = [];
  if (all.scrollWidth > all.clientWidth) over.push('the page: ' + all.scrollWidth + ' of ' + all.clientWidth);
  for (const el of document.querySelectorAll('main *')) {
    const r = el.getBoundingClientRect();
    if (el.checkVisibility() && !el.closest('svg, .unseen') && r.right > all.clientWidth + 1) over.push(el.tagName + '.' + el.className + ' ends at ' + Math.round(r.right));
  }
  return over;
})()`

// On a laptop and a small phone, light and dark: nothing is wider than the screen, all text has enough contrast, and the
// browser makes no foreign request and reports no problem.
func TestBrowser_FitsScreensAndContrast(t *testing.T) {
	t.Parallel()
	b := open(t, quiet())
	for name, s := range map[string]statuspage.Snapshot{"broken": broken(), "healthy": healthy(), "quiet": quiet(), "gone": gone(), "shut": shut(), "hostile": hostile()} {
		for _, on := range screens() {
			b.now.Store(&s)
			b.on(on, "/status")
			if over := eval[[]string](b, wide); len(over) > 0 {
				t.Errorf("%s, %s: wider than the screen: %q", name, on.Name, over)
			}
			if name != "hostile" && name != "quiet" {
				if bad := eval[[]string](b, pale); len(bad) > 0 {
					t.Errorf("%s, %s: too pale: %q", name, on.Name, bad)
				}
			}
			b.keep(name + "-" + on.Name)
		}
	}
	b.on(screens()[2], "/status/causes#qr_not_emitted")
	if over := eval[[]string](b, wide); len(over) > 0 {
		t.Errorf("the causes are wider than the screen: %q", over)
	}
	b.keep("causes-phone")
	b.checkProblems()
}

// A phone's first screen shows what fails, for whom, since when and why.
func TestBrowser_VerdictFitsFirstScreen(t *testing.T) {
	t.Parallel()
	b := open(t, broken())
	for _, on := range screens() {
		b.on(on, "/status")
		low := eval[float64](b, `Math.max(...[...document.querySelectorAll('.verdict h1, .verdict dd')].map((e) => e.getBoundingClientRect().bottom))`)
		if low > float64(on.Height) {
			t.Errorf("%s: the verdict ends at %.0f of %d", on.Name, low, on.Height)
		}
	}
}

// fastIntervals makes a page's intervals of ten seconds, in which it reloads itself, ten times as short.
const fastIntervals = `const asked = setInterval; window.setInterval = (call, ms) => asked(call, ms === 10000 ? 1000 : ms)`

// The page reloads itself: a failure appears, with the tab's title and icon, and what is open and focused stays so. The
// page shows when the gateway does not respond, until it does.
func TestBrowser_Reloads(t *testing.T) {
	t.Parallel()
	b := open(t, healthy())
	browsertest.Call(b.Browser, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: fastIntervals})
	b.on(screens()[0], "/status")
	b.Do(chromedp.Click(chromedp.CSS("#more-acquisitions > summary")), chromedp.Focus(chromedp.CSS("footer a")))
	later := broken()
	b.now.Store(&later)
	b.until(`document.getElementById('main').dataset.level === 'failing'`)
	for script, want := range map[string]string{
		`document.title`: "failing · qrgate",
		`document.querySelector('link[rel=icon]').getAttribute('href')`:             "status/icon-failing.svg",
		`String(document.getElementById('more-acquisitions').open)`:                 "true",
		`document.activeElement.textContent`:                                        "Metrics",
		`document.getElementById('announce').textContent.split(':')[0]`:             "failing",
		`String(document.querySelectorAll('#probes ~ .probes .strip .bad').length)`: "5",
	} {
		if got := eval[string](b, script); got != want {
			t.Errorf("%s is %q, want %q", script, got, want)
		}
	}
	b.checkProblems()
	b.down.Store(true)
	b.until(`!document.getElementById('stale').hidden`)
	b.down.Store(false)
	b.until(`document.getElementById('stale').hidden`)
}

// The keyboard reaches everything, and the focus is visible.
func TestBrowser_Keyboard(t *testing.T) {
	t.Parallel()
	b := open(t, broken())
	b.on(screens()[0], "/status")
	b.Do(chromedp.KeyEvent(kb.Tab))
	if got := eval[string](b, `document.activeElement.className`); got != "skip" {
		t.Errorf("the first stop is %q", got)
	}
	b.Do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "))
	if got := eval[string](b, `document.activeElement.id + ' ' + document.activeElement.getAttribute('aria-pressed')`); got != "pause true" {
		t.Errorf("the space bar on the second stop: %q", got)
	}
	stops := eval[int](b, `document.querySelectorAll('a[href], button, summary').length`)
	for range stops {
		b.Do(chromedp.KeyEvent(kb.Tab))
		if got := eval[string](b, `document.activeElement === document.body ? '3px' : getComputedStyle(document.activeElement).outlineWidth`); got != "3px" {
			t.Errorf("no outline around %s", eval[string](b, `document.activeElement.outerHTML`))
		}
	}
}

// Without JavaScript only the reload is missing.
func TestBrowser_WithoutJavaScript(t *testing.T) {
	t.Parallel()
	b := open(t, broken())
	browsertest.Call(b.Browser, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.on(screens()[2], "/status")
	if text := browsertest.Get(b.Browser, chromedp.Text(chromedp.CSS("noscript a"))); text != "Reload" {
		t.Errorf("the link to reload is %q", text)
	}
	if text := browsertest.Get(b.Browser, chromedp.Text(chromedp.CSS("#verdict"))); text != statuspage.Judge(broken()).Title {
		t.Errorf("the verdict is %q", text)
	}
	b.checkProblems()
}
