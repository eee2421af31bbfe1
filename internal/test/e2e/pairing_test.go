package e2e_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"qrgate/compat"
	"qrgate/compat/waha"
	"qrgate/internal/secret"
	"qrgate/internal/test/browsertest"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/whatsappsim"
)

var screenshots = flag.Bool("screenshots", false, "write the pictures of the pairing page in docs/images anew")

// Scripts that tell what the page shows.
const (
	isShown = `document.getElementById('qr').checkVisibility() && document.getElementById('qr').naturalWidth > 0`
	shownQR = `document.getElementById('qr').src`
	sampler = `window.samples = []; setInterval(() => { const qr = document.getElementById('qr');
		window.samples.push({ at: Date.now(), code: qr.checkVisibility() ? qr.src : '' }); }, 100)`
)

func phaseIs(phase string) string {
	return `document.documentElement.dataset.phase === '` + phase + `'`
}

// site is an origin of another company, with a page that frames a link and the example that follows one.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	example, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "clients", "pair.html"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/example":
			_, _ = w.Write(example)
		case "/frame":
			const page = `<!doctype html><title>x</title><link rel="icon" href="data:,"><script>
				onmessage = (e) => { window.told = e.origin + ' ' + e.data.type + ' ' + e.data.sessionId; };
				</script><iframe width="900" height="700" src="%s"></iframe>`
			_, _ = fmt.Fprintf(w, page, r.URL.Query().Get("link"))
		default:
			_, _ = io.WriteString(w, `<!doctype html><title>done</title><link rel="icon" href="data:,"><p id="done-page">done`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// pairing is a gateway, a browser and another company's site.
type pairing struct {
	*rig
	b     *browsertest.Browser
	other string
}

// link creates a session and issues a link.
func (p *pairing) link(id, body string) response {
	p.Helper()
	p.want(p.call(http.MethodPost, "/api/sessions", `{"sessionId":"`+id+`","sessionName":"Shop"}`), 201)
	return p.want(p.call(http.MethodPost, "/api/sessions/"+id+"/qr/link", body), 201)
}

// inspect checks the page's accessibility on every screen, and keeps its pictures.
func (p *pairing) inspect(name string) {
	p.Helper()
	for _, s := range browsertest.Screens() {
		p.b.Show(s)
		for _, problem := range browsertest.Eval[[]string](p.b, browsertest.Accessible) {
			p.Errorf("%s on %s: %s", name, s.Name, problem)
		}
		p.b.Screenshot(p.ArtifactDir(), name+"-"+s.Name)
		if *screenshots && name == "scan" && s.Name != "laptop-dark" && s.Name != "phone-light" {
			p.b.Screenshot(filepath.Join("..", "..", "..", "docs", "images"), "pairing-"+name+"-"+s.Name)
		}
	}
	p.b.Show(browsertest.Screens()[0])
}

// A person opens links in a browser, before real whatsmeow on the simulated WhatsApp.
func TestPairingPage_Whatsmeow(t *testing.T) {
	other := site(t)
	whatsapp, addr := startWhatsApp(t)
	cfg := own(whatsapp, addr, t.TempDir())
	p := &pairing{rig: start(t, whatsapp, addr, cfg), b: browsertest.Start(t, 2*time.Minute), other: other.URL}
	p.b.Show(browsertest.Screens()[0])
	p.scanAndLink()
	p.pairByPhone()
	p.seeProblem()
	p.openWrongLink()
	p.b.CheckRequests(p.base, p.other)
	p.b.CheckProblems("404") // of the wrong link
}

// scanAndLink: the page connects the session and shows a code, and the next one when WhatsApp retires it. After the scan
// it tells that the phone is linked, and leads on.
func (p *pairing) scanAndLink() {
	p.whatsapp.SetFault(whatsappsim.Fault{RefreshOnScan: true})
	link := p.link("shop-1", `{"locale":"en","redirectUrl":"`+p.other+`/done"}`).Data.URL
	p.b.Open(link)
	p.b.Until(10*time.Second, isShown)
	p.b.Open(link) // now the page itself has the code
	p.b.Until(5*time.Second, isShown)
	const paint = `performance.getEntriesByName('first-contentful-paint')[0].startTime`
	p.b.Until(5*time.Second, `performance.getEntriesByName('first-contentful-paint').length`)
	size := browsertest.Eval[float64](p.b, `performance.getEntriesByType('navigation')[0].encodedBodySize`)
	p.Logf("first paint with the QR after %.0f ms; %.0f bytes", browsertest.Eval[float64](p.b, paint), size)
	if size > 60<<10 || size < 10<<10 {
		p.Errorf("the page has %.0f bytes", size)
	}
	p.inspect("scan")
	p.checkKeyboard()
	browsertest.Eval[int](p.b, sampler)
	p.b.Until(5*time.Second, `samples.length > 3`)
	old := browsertest.Eval[string](p.b, shownQR)
	if err := p.tryScan(old, "5550100"); !errors.Is(err, whatsappsim.ErrRenew) {
		p.Fatalf("first scan: %v", err)
	}
	p.b.Until(5*time.Second, isShown+` && `+shownQR+` !== '`+old+`'`)
	renewedAt := browsertest.Eval[float64](p.b, `Date.now()`)
	p.scan(browsertest.Eval[string](p.b, shownQR), "5550100")
	scannedAt := time.Now()
	p.b.Until(5*time.Second, phaseIs("linked"))
	p.Logf("linked %v after the scan", time.Since(scannedAt))
	if took := time.Since(scannedAt); took > 2*time.Second { // a quarter of a second on an idle machine
		p.Errorf("the page tells after %v that the phone is linked", took)
	}
	for _, s := range p.samples(p.b) {
		if s.At > renewedAt && s.Code == old {
			p.Errorf("the old code is visible %.0f ms after its end", s.At-renewedAt)
		}
	}
	p.inspect("linked")
	p.b.Do(chromedp.WaitReady(chromedp.CSS("#done-page"))) // after two seconds
	if got := browsertest.Eval[string](p.b, `document.referrer`); got != "" {
		p.Errorf("the referrer is %q", got)
	}
	p.b.Open(link)
	if got := browsertest.Eval[string](p.b, `document.getElementById('headline').textContent`); got != "WhatsApp is linked" {
		p.Errorf("the page after its use says %q", got)
	}
}

// checkKeyboard: every control can be reached with the keyboard, in the order of the page, and the focus is visible.
func (p *pairing) checkKeyboard() {
	p.Helper()
	browsertest.Eval[int](p.b, `document.activeElement.blur() || 0`)
	const controls = `[...document.querySelectorAll('button, a[href], input')].filter((el) => el.checkVisibility()).map((el) => el.id)`
	for _, want := range browsertest.Eval[[]string](p.b, controls) {
		p.b.Do(chromedp.KeyEvent(kb.Tab))
		got := browsertest.Eval[string](p.b, `document.activeElement.id`)
		outline := browsertest.Eval[string](p.b, `getComputedStyle(document.activeElement).outlineWidth`)
		if got != want || outline != "3px" {
			p.Errorf("the focus is on %q with an outline of %s, want %q", got, outline, want)
		}
	}
}

// pairByPhone: on a phone, with its number, and in the browser's language.
func (p *pairing) pairByPhone() {
	p.whatsapp.SetFault(whatsappsim.Fault{})
	p.b.SetLanguage("es-MX,es;q=0.9")
	p.b.Open(p.link("shop-2", `{}`).Data.URL)
	p.b.Until(10*time.Second, isShown)
	p.b.Show(browsertest.Screens()[2])
	if got := browsertest.Eval[string](p.b, `document.querySelector('h1').textContent`); got != "Vincule su WhatsApp" {
		p.Errorf("the title is %q", got)
	}
	p.b.Do(chromedp.Click(chromedp.CSS("#toggle")), chromedp.SendKeys(chromedp.CSS("#number"), "0123"), chromedp.KeyEvent(kb.Enter))
	p.b.Until(2*time.Second, `document.getElementById('form-error').textContent.startsWith('Revise el número')`)
	browsertest.Eval[string](p.b, `document.getElementById('number').value = ''`)
	p.b.Do(chromedp.SendKeys(chromedp.CSS("#number"), "+55 50-100"), chromedp.KeyEvent(kb.Enter))
	p.b.Until(10*time.Second, `document.getElementById('code').checkVisibility()`)
	p.inspect("phone-number")
	code := browsertest.Eval[string](p.b, `document.getElementById('code').textContent`)
	if err := p.whatsapp.EnterCode(p.Context(), code, whatsappsim.Account{User: "5550100"}); err != nil {
		p.Fatal(err)
	}
	p.b.Until(5*time.Second, phaseIs("linked"))
}

// seeProblem: WhatsApp does not respond, then it refuses the library's version, which the operator must update.
func (p *pairing) seeProblem() {
	p.b.SetLanguage("pt-BR,pt;q=0.9")
	p.whatsapp.SetFault(whatsappsim.Fault{HangUpgrade: true})
	p.b.Open(p.link("shop-3", `{}`).Data.URL)
	p.b.Until(5*time.Second, phaseIs("preparing"))
	p.inspect("preparing")
	p.whatsapp.SetFault(whatsappsim.Fault{Failure: 405})
	p.b.Open(p.link("shop-4", `{}`).Data.URL)
	p.b.Until(20*time.Second, phaseIs("problem"))
	p.inspect("problem")
	text := browsertest.Eval[string](p.b, `document.getElementById('stage').innerText`)
	for _, want := range []string{"O WhatsApp recusa esta versão da biblioteca do motor", "Quem opera este serviço", "client_outdated"} {
		if !strings.Contains(text, want) {
			p.Errorf("the page shows %q, want %q", text, want)
		}
	}
	p.whatsapp.SetFault(whatsappsim.Fault{})
}

// openWrongLink: a link that expired or never was says so.
func (p *pairing) openWrongLink() {
	p.b.SetLanguage("en")
	p.b.Open(p.base + "/pair/AAAABBBBCCCCDDDDEEEEFFFFGG")
	if text := browsertest.Eval[string](p.b, `document.body.innerText`); !strings.Contains(text, "This link is no longer valid") {
		p.Errorf("the page shows %q", text)
	}
	p.inspect("ended")
}

// sample is what was visible at a time, in milliseconds since 1970.
type sample struct {
	At   float64
	Code string
}

func (p *pairing) samples(b *browsertest.Browser) []sample {
	p.Helper()
	all := browsertest.Eval[[]sample](b, `window.samples`)
	if len(all) < 5 {
		p.Fatalf("%d samples", len(all))
	}
	return all
}

// Before an engine whose codes live two seconds: no code is visible after its end, expired codes are replaced on
// request, and pages of another company frame the page, or follow the link themselves.
func TestPairingPage_ShortCodes(t *testing.T) {
	other := site(t)
	sim := &enginesim.Engine{QRDelay: 300 * time.Millisecond, QRTTL: 1500 * time.Millisecond,
		Rotation: []time.Duration{1500 * time.Millisecond, 1500 * time.Millisecond, 1500 * time.Millisecond}}
	engine := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); engine.CloseClientConnections(); engine.Close() })
	cfg := before(t, engine.URL)
	cfg.PairFrameAncestors, cfg.CORSOrigins = []string{other.URL}, []string{other.URL}
	p := &pairing{rig: start(t, nil, "", cfg), b: browsertest.Start(t, time.Minute), other: other.URL}
	p.b.Show(browsertest.Screens()[0])
	ends := p.watchCodes(engine.URL, "shop-1")
	link := p.link("shop-1", `{}`)
	p.b.Open(link.Data.URL)
	browsertest.Eval[int](p.b, sampler)
	// Three codes and the absence of one; the third long enough that the watch of the engine has seen it, too.
	p.b.Until(20*time.Second, `new Set(samples.slice(0, -3).map((s) => s.code)).size > 3`)
	p.want(p.call(http.MethodPost, "/api/sessions/shop-1/disconnect", ""), 200)
	p.b.Until(10*time.Second, phaseIs("expired"))
	p.inspect("expired")
	p.checkSamples(p.samples(p.b), ends())
	p.b.Do(chromedp.Click(chromedp.CSS("#again")))
	p.b.Until(10*time.Second, isShown)
	p.want(p.call(http.MethodDelete, "/api/sessions/shop-1/qr/link", ""), 200)
	p.b.Until(5*time.Second, phaseIs("ended"))

	sim.Change(func(e *enginesim.Engine) { e.QRTTL, e.Rotation = time.Minute, nil })
	events, example := p.link("shop-2", `{}`).Data.EventsURL, p.b.Tab()
	example.Open(other.URL + "/example#" + events)
	example.Do(chromedp.Click(chromedp.CSS("#again"), chromedp.NodeVisible))
	framed := p.link("shop-3", `{}`).Data.URL
	p.b.Open(other.URL + "/frame?link=" + framed)
	example.Until(10*time.Second, isShown)
	p.becomes("shop-3", "qr_code", 10*time.Second)
	for _, id := range []string{"shop-2", "shop-3"} {
		if err := sim.Link(id); err != nil {
			t.Fatal(err)
		}
	}
	p.b.Until(10*time.Second, `window.told === '`+p.base+` qrgate.linked shop-3'`)
	example.Until(10*time.Second, `document.getElementById('state').textContent === 'WhatsApp is linked.'`)
	example.CheckRequests(p.base, other.URL)
	example.CheckProblems("favicon", "404")
	p.b.CheckRequests(p.base, other.URL)
	p.b.CheckProblems("favicon", "404")
}

// Before an engine of another API the page pairs by phone number too, in each language and on each screen.
func TestPairingPage_NumberBeforeWAHA(t *testing.T) {
	sim := &enginesim.Engine{QRDelay: 300 * time.Millisecond}
	face := enginesim.WAHA(sim)
	engine := httptest.NewServer(face)
	t.Cleanup(func() { sim.Close(); engine.CloseClientConnections(); engine.Close() })
	cfg := before(t, engine.URL)
	cfg.Dialect = waha.Dialect
	p := &pairing{rig: start(t, nil, "", cfg), b: browsertest.Start(t, time.Minute)}
	p.b.Show(browsertest.Screens()[0])
	for locale, toggle := range map[string]string{
		"en": "Link with the phone number instead", "es": "Vincular con el número de teléfono", "pt": "Conectar com o número de telefone",
	} {
		id := "shop-" + locale
		p.b.Open(p.link(id, `{"locale":"`+locale+`"}`).Data.URL)
		p.b.Until(10*time.Second, isShown)
		if got := browsertest.Eval[string](p.b, `document.getElementById('toggle').innerText`); got != toggle {
			p.Errorf("%s: the page offers %q", locale, got)
		}
		p.b.Do(chromedp.Click(chromedp.CSS("#toggle")), chromedp.SendKeys(chromedp.CSS("#number"), "+1 555 0100 23"),
			chromedp.KeyEvent(kb.Enter))
		p.b.Until(10*time.Second, `document.getElementById('code').checkVisibility()`)
		p.inspect("number-" + locale)
		if err := face.EnterCode(id, browsertest.Eval[string](p.b, `document.getElementById('code').textContent`)); err != nil {
			p.Fatal(err)
		}
		p.b.Until(5*time.Second, phaseIs("linked"))
		if browsertest.Eval[bool](p.b, `document.getElementById('by-phone').checkVisibility()`) {
			p.Errorf("%s: the code is still shown", locale)
		}
	}
	p.b.CheckRequests(p.base)
	p.b.CheckProblems()
}

// All codes of a connect of real whatsmeow, 60 s and then 20 s each: none is visible after its end, and when the last
// one has expired the page says so.
func TestPairingPage_EveryCode(t *testing.T) {
	if !*long {
		t.Skip("run with -long: it takes three minutes")
	}
	whatsapp, addr := startWhatsApp(t)
	p := &pairing{rig: start(t, whatsapp, addr, own(whatsapp, addr, t.TempDir())), b: browsertest.Start(t, 6*time.Minute)}
	p.b.Show(browsertest.Screens()[0])
	p.b.Open(p.link("shop-1", `{}`).Data.URL)
	browsertest.Eval[int](p.b, sampler)
	p.b.Until(10*time.Second, isShown)
	ends := p.watchCodes(p.base, "shop-1") // which requests the QR: before the connect it would begin an acquisition
	p.b.Until(4*time.Minute, phaseIs("expired"))
	samples := p.samples(p.b)
	p.checkSamples(samples, ends())
	for i, s := range samples {
		if i == 0 || s.Code != samples[i-1].Code {
			p.Logf("%5.1f s: a code is visible: %v", (s.At-samples[0].At)/1000, s.Code != "")
		}
	}
	p.b.CheckProblems()
}

// watchCodes asks the engine itself for each code of a session and for its end. The result ends the watch: the ends by
// the text of the code, in milliseconds since 1970.
func (p *pairing) watchCodes(engine, id string) (ends func() map[string]float64) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	found := map[string]float64{}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			a := qrOf(engine, id)
			if at, err := time.Parse(time.RFC3339, a.Data.ExpiresAt); err == nil {
				if code, err := compat.ReadQR(secret.NewSecret(a.Data.QRCode)); err == nil {
					found[code.Reveal()] = float64(at.UnixMilli())
				}
			}
		}
	}()
	return sync.OnceValue(func() map[string]float64 {
		close(stop)
		<-stopped
		return found
	})
}

// qrOf is the engine's own response about a code; empty without one.
func qrOf(engine, id string) (qr response) {
	r, err := http.NewRequest(http.MethodGet, engine+"/api/sessions/"+id+"/qr", nil)
	if err != nil {
		return qr
	}
	r.Header.Set("X-API-Key", key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return qr
	}
	defer res.Body.Close()
	_ = json.NewDecoder(res.Body).Decode(&qr) // empty if it is not there yet
	return qr
}

func (p *pairing) checkSamples(samples []sample, ends map[string]float64) {
	p.Helper()
	seen := map[string]bool{}
	for _, s := range samples {
		if s.Code == "" {
			continue
		}
		code, err := compat.ReadQR(secret.NewSecret(s.Code))
		end, isKnown := ends[code.Reveal()]
		if err != nil || !isKnown {
			p.Fatalf("the page shows a code that the engine never had: %v", err)
		}
		if s.At > end {
			p.Errorf("a code is visible %.0f ms after its end", s.At-end)
		}
		seen[code.Reveal()] = true
	}
	if len(seen) < 3 {
		p.Errorf("%d codes were visible, want 3", len(seen))
	}
}
