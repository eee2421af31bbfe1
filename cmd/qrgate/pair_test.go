package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
	"qrgate/internal/app"
	"qrgate/internal/secret"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/logtest"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// pairRun is a run of the command in the background.
type pairRun struct {
	t         *testing.T
	out, errs logtest.Buffer
	exit      chan int
	stop      context.CancelFunc
}

// startPair runs qrgate pair against a target.
func startPair(t *testing.T, target string, args ...string) *pairRun {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &pairRun{t: t, exit: make(chan int, 1), stop: stop}
	args = append([]string{"pair", "shop-1", "--target", target, "--api-key", "key-a", "--data-dir", t.TempDir()}, args...)
	go func() { r.exit <- run(ctx, cli{args: args, out: &r.out, err: &r.errs}) }()
	t.Cleanup(stop)
	return r
}

// until waits for one of some texts in the output.
func (r *pairRun) until(texts ...string) {
	r.t.Helper()
	isShown := func(text string) bool { return strings.Contains(r.out.String(), text) }
	for end := time.Now().Add(20 * time.Second); !slices.ContainsFunc(texts, isShown); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%q does not appear: %s%s", texts, r.out.String(), r.errs.String())
		}
	}
}

// want waits for the end.
func (r *pairRun) want(exit int) {
	r.t.Helper()
	select {
	case got := <-r.exit:
		if got != exit {
			r.t.Errorf("exit %d, want %d: %s%s", got, exit, r.out.String(), r.errs.String())
		}
	case <-time.After(20 * time.Second):
		r.t.Fatalf("it does not end: %s%s", r.out.String(), r.errs.String())
	}
}

// The whole way: the session is made, its QR and the next one are drawn, and the command ends when a phone is linked.
func TestPair_FollowsSessionUntilConnected(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{Codes: fixedCode, QRTTL: 6 * time.Second}
	r := startPair(t, startGateway(t, startEngine(t, e)), "--create")
	r.until("Code 1, valid for")
	r.until("Code 2, valid for")
	if err := e.Link("shop-1"); err != nil {
		t.Fatal(err)
	}
	r.want(exitOK)
	text := regexp.MustCompile(`valid for \d+ s|The code has expired. The next one follows.\n`).ReplaceAllString(r.out.String(), "")
	golden(t, "testdata/pair.txt", text)
	if strings.Contains(text, "\x1b") {
		t.Error("the output has ANSI codes, and is no terminal")
	}
}

// The owner of a phone types the code that --code shows, at a gateway with the embedded engine.
func TestPair_PairingCode(t *testing.T) {
	t.Parallel()
	whatsappsimtest.TrustRoot()
	whatsapp := &whatsappsim.Server{}
	addr := whatsappsimtest.Start(t, whatsapp)
	target := startGateway(t, "", func(cfg *app.Config) {
		cfg.ProbeKey = secret.Secret{} // it is too short for the embedded engine
		cfg.EngineURL, cfg.DataDir, cfg.WhatsApp = nil, t.TempDir(), whatsapp.HTTPClient(addr)
		cfg.APIKeys = []embedded.Key{{Name: "tests", Key: secret.NewSecret("key-a-of-the-embedded-engine")}}
	})
	for mode, args := range map[string][]string{"text": nil, "json": {"--json"}} {
		args = append(args, "--create", "--code", "+1 (555) 0100", "--api-key", "key-a-of-the-embedded-engine")
		r := startPair(t, target, args...)
		r.until("valid for", `"pairingCode":"`)
		code := regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`).FindString(r.out.String())
		if err := whatsapp.EnterCode(t.Context(), code, whatsappsim.Account{User: "15550100"}); err != nil {
			t.Fatal(err)
		}
		r.want(exitOK)
		if mode == "text" {
			text := regexp.MustCompile(`valid for \d+ s`).ReplaceAllString(strings.ReplaceAll(r.out.String(), code, "CODE"), "valid for N s")
			golden(t, "testdata/pair-code.txt", text)
		} else if strings.Contains(r.out.String(), "2@") {
			t.Errorf("a QR is shown too: %s", r.out.String())
		}
		deleteSession(t, target, "shop-1", "key-a-of-the-embedded-engine")
	}
}

// When a pairing code has expired, the next one is requested.
func TestPair_RequestsNextPairingCode(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{QRTTL: 2 * time.Second}
	codes := 0
	mux := http.NewServeMux()
	mux.Handle("/", e)
	mux.HandleFunc("POST /api/sessions/shop-1/pairing-code", func(w http.ResponseWriter, _ *http.Request) {
		codes++
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"success":true,"data":{"sessionId":"shop-1","pairingCode":"CODE-000%d","expiresIn":1}}`, codes)
	})
	engine := httptest.NewServer(mux)
	t.Cleanup(func() { engine.CloseClientConnections(); e.Close(); engine.Close() })
	r := startPair(t, startGateway(t, engine.URL), "--create", "--code", "+15550100")
	r.until("CODE-0002")
	if err := e.Link("shop-1"); err != nil {
		t.Fatal(err)
	}
	r.want(exitOK)
}

func TestPair_HelpMatchesGoldenFile(t *testing.T) {
	t.Parallel()
	_, out, _ := runCLI(t, nil, "pair", "--help")
	golden(t, "testdata/pair-help.txt", out)
}

// fixedCode makes codes that are the same in every run.
func fixedCode(_ string, sequence int) string {
	return "2@" + strings.Repeat("golden", 6) + ",noise=,identity=,secret=," + string(rune('0'+sequence))
}

// golden compares a text with a file, or writes the file with -update.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("if this is intended, run go test ./cmd/qrgate -update (-want +got):\n%s", diff)
	}
}

// When all codes of a connect have expired, the session is connected again.
func TestPair_ConnectsAgainAfterLastCode(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{QRTTL: 2 * time.Second, Rotation: []time.Duration{2 * time.Second, 2 * time.Second}}
	r := startPair(t, startGateway(t, startEngine(t, e)), "--create")
	r.until("valid for")
	before := strings.Count(r.out.String(), "valid for")
	for end := time.Now().Add(40 * time.Second); e.CountSince(enginesim.RouteConnect, time.Time{}) < 2 && time.Now().Before(end); <-time.After(20 * time.Millisecond) {
	}
	for end := time.Now().Add(10 * time.Second); strings.Count(r.out.String(), "valid for") <= before+2 && time.Now().Before(end); <-time.After(20 * time.Millisecond) {
	}
	if e.CountSince(enginesim.RouteConnect, time.Time{}) < 2 {
		t.Errorf("it does not connect again: %s", r.out.String())
	}
	r.stop()
	r.want(exitFailed)
}

// A second run continues with the QR of the first.
func TestPair_ContinuesWithPresentQR(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	target := startGateway(t, startEngine(t, e))
	first := startPair(t, target, "--create")
	first.until("valid for")
	first.stop()
	first.want(exitFailed)
	connects := e.CountSince(enginesim.RouteConnect, time.Time{})
	second := startPair(t, target)
	second.until("valid for")
	if got := e.CountSince(enginesim.RouteConnect, time.Time{}); got != connects {
		t.Errorf("%d connects, want %d", got, connects)
	}
	second.stop()
	second.want(exitFailed)
}

// With --json each change is a line, and a new code is in its line.
func TestPair_JSONLines(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{Codes: fixedCode}
	r := startPair(t, startGateway(t, startEngine(t, e)), "--create", "--json")
	r.until(`"code":"2@golden`)
	if err := e.Link("shop-1"); err != nil {
		t.Fatal(err)
	}
	r.want(exitOK)
	codes, last := 0, ""
	for line := range strings.Lines(r.out.String()) {
		var event struct{ Code, Status string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if event.Code != "" {
			codes++
		}
		last = event.Status
	}
	if codes != 1 || last != "connected" {
		t.Errorf("%d codes, and the last status is %q: %s", codes, last, r.out.String())
	}
}

func TestPair_ConnectedSessionEndsAtOnce(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	target := startGateway(t, startEngine(t, e))
	r := startPair(t, target, "--create")
	r.until("valid for")
	if err := e.Link("shop-1"); err != nil {
		t.Fatal(err)
	}
	r.want(exitOK)
	connects := e.CountSince(enginesim.RouteConnect, time.Time{})
	again := startPair(t, target)
	again.want(exitOK)
	if got := again.out.String(); got != "Connected.\n" || e.CountSince(enginesim.RouteConnect, time.Time{}) != connects {
		t.Errorf("it prints %q and connects again", got)
	}
}

// Every failure has its exit status and names what to do.
func TestPair_Failures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		engine *enginesim.Engine
		args   []string
		exit   int
		want   string
	}{
		"no session":   {&enginesim.Engine{}, nil, exitFailed, "the session does not exist; --create makes it"},
		"a wrong key":  {&enginesim.Engine{Keys: map[string]string{"other": "a"}}, []string{"--create"}, exitFailed, "the API key is not valid for this target"},
		"no QR":        {&enginesim.Engine{QRDelay: time.Hour}, []string{"--create", "--wait", "2s"}, exitFailed, "was not connected within 2s"},
		"no codes":     {&enginesim.Engine{}, []string{"--create", "--code", "+15550100"}, exitFailed, "this engine gives no pairing codes; leave out --code"},
		"no number":    {&enginesim.Engine{}, []string{"--code", "shop"}, exitUsage, "--code must be an international phone number"},
		"no such name": {&enginesim.Engine{}, []string{"--target", "engine"}, exitUsage, "--target must be like"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startPair(t, startGateway(t, startEngine(t, c.engine)), c.args...)
			r.want(c.exit)
			if !strings.Contains(r.errs.String(), c.want) {
				t.Errorf("%q lacks %q", r.errs.String(), c.want)
			}
		})
	}
	var errs strings.Builder
	native := cli{args: []string{"pair", "shop-1"}, env: []string{"QRGATE_FRONT=native"}, out: io.Discard, err: &errs}
	if exit := run(t.Context(), native); exit != exitUsage || !strings.Contains(errs.String(), "/_qrgate/sessions/shop-1/qr.png") {
		t.Errorf("native: exit %d, %q", exit, errs.String())
	}
	r := startPair(t, "http://127.0.0.1:1")
	r.want(exitFailed)
	if !strings.Contains(r.errs.String(), "start qrgate, or correct --target") {
		t.Errorf("nothing listens: %q", r.errs.String())
	}
}

// A refused pairing code is reported with the engine's own message.
func TestPair_RefusedCodeNamesReason(t *testing.T) {
	t.Parallel()
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/pairing-code") {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"success":false,"error":"connect the session first","code":"dns_failed"}`)
			return
		}
		fmt.Fprint(w, `{"success":true,"data":{"id":1,"sessionId":"shop-1","status":"connecting"}}`)
	}))
	t.Cleanup(engine.Close)
	r := startPair(t, engine.URL, "--code", "+15550100")
	r.want(exitFailed)
	if !strings.Contains(r.errs.String(), "connect the session first") {
		t.Errorf("%q", r.errs.String())
	}
}

// The session is deleted while the command follows it.
func TestPair_DeletedSession(t *testing.T) {
	t.Parallel()
	e := &enginesim.Engine{}
	target := startGateway(t, startEngine(t, e))
	r := startPair(t, target, "--create")
	r.until("valid for")
	deleteSession(t, target, "shop-1", "key-a")
	r.want(exitFailed)
	if !strings.Contains(r.errs.String(), "the session was deleted") {
		t.Errorf("%q", r.errs.String())
	}
}

// deleteSession deletes a session through the gateway.
func deleteSession(t *testing.T, target, name, key string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodDelete, target+"/api/sessions/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", key)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", res, err)
	}
	_ = res.Body.Close()
}

// On a terminal the QR is black on white, and a new one replaces the old one.
func TestPair_ColorsOnTerminal(t *testing.T) {
	t.Parallel()
	var out, errs logtest.Buffer
	args := []string{"pair", "shop-1", "--create", "--target", startGateway(t, startEngine(t, &enginesim.Engine{})), "--api-key", "key-a", "--wait", "3s"}
	run(t.Context(), cli{args: args, out: &out, err: &errs, color: true})
	if text := out.String(); !strings.Contains(text, "\x1b[H\x1b[2J") || !strings.Contains(text, "\x1b[107;30m") {
		t.Errorf("%q %s", text, errs.String())
	}
}

func TestPair_InterruptEnds(t *testing.T) {
	t.Parallel()
	r := startPair(t, startGateway(t, startEngine(t, &enginesim.Engine{})), "--create")
	r.until("valid for")
	r.stop()
	r.want(exitFailed)
}

// Without --api-key the key comes from this host's settings, or is the one that qrgate generated here.
func TestPair_KeySources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := (pairCommand{}).key(settings{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "set --api-key, or QRGATE_API_KEYS") {
		t.Errorf("without a key: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "api-key"), []byte("default:generated-key-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]settings{
		"generated-key-0123456789":  {DataDir: dir},
		"configured-key-0123456789": {DataDir: dir, APIKeys: "shop:configured-key-0123456789,b:another-key-0123456789"},
	} {
		if key, err := (pairCommand{}).key(s); err != nil || key.Reveal() != want {
			t.Errorf("%q, %v, want %q", key.Reveal(), err, want)
		}
	}
	var out bytes.Buffer
	if code := run(t.Context(), cli{args: []string{"pair"}, out: &out, err: &out}); code != exitUsage {
		t.Errorf("without a session: exit %d", code)
	}
}
