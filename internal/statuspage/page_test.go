package statuspage_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/probes"
)

// outline is the text of a page, without its markup.
func outline(page string) string {
	_, page, _ = strings.Cut(page, "<main")
	page = regexp.MustCompile(`(?s)<title>.*?</title>|<[^>]*>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(page), " ")
}

// The order of the page: what fails, for whom, since when, why, what to do; then the parts.
func TestPage_OrderOfContents(t *testing.T) {
	t.Parallel()
	res, page := serve(t, broken(), "/status")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	text, at := outline(page), 0
	for _, want := range []string{
		"failing", "The engine responds with errors",
		"Affected", "Probably all users", "Since", "11:49:55 UTC", "10 min ago", "Why", "QR_GENERATION_ERROR", "engine_5xx", "What to do", "(operator)",
		"Redis cannot be reached (",
		"Engine", "up", "engine.example:3000", "not ready 19", "ok 41", "21 calls left",
		"WhatsApp reachable", "15 min ago", "Store", "degraded", "Active sessions", "41", "connecting 8", "failed 5", "and 1 of probes", "Paired sessions are counted", "Waiting requests", "312 of 5000",
		"Causes of missing QRs", "7", "crm-00", "and 2 more", "qr_expired", "Who acts: customer",
		"Probes", "create_connect_qr", "fails", "took 45 s, at qr", "create_connect_qr-7-12", "engine_health", "works", "engine_unreachable", "create_delete",
		"Acquisitions", "the last 24 of clients", "no QR", "1 min", "crm-00", "abandoned", "16 older acquisitions",
		"Changes", "session", "crm-00", "connecting", "failed", "store", "redis unavailable", "6 older changes",
		"Metrics", "qrgate 1.2.3", "started 10:58:20 UTC 1 h 1 min ago", "go1.26",
	} {
		next := strings.Index(text[at:], want)
		if next < 0 {
			t.Fatalf("%q is missing after %q in\n%s", want, text[max(0, at-60):at], text)
		}
		at += next + len(want)
	}
}

// A strip shows nothing by color alone: every mark has its text, and failures and others have their own height.
func TestPage_StripsHaveSignsAndTexts(t *testing.T) {
	t.Parallel()
	_, page := serve(t, broken(), "/status")
	strips := strings.Split(page, `<div class="strip"`)[1:]
	if len(strips) != 4 {
		t.Fatalf("%d strips", len(strips))
	}
	for i, want := range []struct {
		label                string
		ok, bad, void, lines int
	}{
		{"create_connect_qr: 12 runs, 4 failed", 8, 4, 0, 0}, {"engine_health: 31 runs, 1 failed", 30, 1, 0, 1},
		{"create_delete: 30 runs, 0 failed", 29, 0, 1, 0}, {"24 acquisitions", 17, 6, 1, 0},
	} {
		strip, _, _ := strings.Cut(strips[i], "</div>")
		if !strings.Contains(strip, `aria-label="`+want.label+`"`) {
			t.Errorf("want %v: %s", want, strip)
		}
		for kind, n := range map[string]int{"ok": want.ok, "bad": want.bad, "void": want.void} {
			if got := len(regexp.MustCompile(`<i class="`+kind+`" title="\d\d:\d\d:\d\d UTC, [^"]+, [^"]+ m?s?(min)?"></i>`).FindAllString(strip, -1)); got != n {
				t.Errorf("%s: %d marks %s, want %d", want.label, got, kind, n)
			}
		}
		if got := strings.Count(strip, `<i class="line">`); got != want.lines {
			t.Errorf("%s: %d lines before older failures, want %d", want.label, got, want.lines)
		}
	}
}

// Names chosen to do harm stay text.
func TestPage_HostileNamesAreEscaped(t *testing.T) {
	t.Parallel()
	_, page := serve(t, hostile(), "/status")
	for _, evil := range []string{"<script>alert", "<img", "onerror=alert(1)>", `href="javascript:`} {
		if strings.Contains(page, evil) {
			t.Errorf("the page contains %s", evil)
		}
	}
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	_, body := serve(t, hostile(), "/status?format=json")
	if !json.Valid([]byte(body)) || strings.Contains(body, "<script") {
		t.Errorf("the JSON is %s", body)
	}
}

// The headers allow browsers to show the page and nothing else.
func TestHandler_SecurityHeaders(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/status", "/status?format=json", "/status/causes", "/status/app.js", "/status/style.css", "/status/icon-ok.svg", "/status/nothing"} {
		res, body := serve(t, broken(), path)
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if want := path != "/status/nothing"; (res.StatusCode == http.StatusOK) != want {
			t.Errorf("%s returns %d", path, res.StatusCode)
		}
		if bad := regexp.MustCompile(`(?i)\b(https?:)?//[a-z]|<style|style=|\son[a-z]+=|<script>`).FindString(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "")); strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && bad != "" {
			t.Errorf("%s contains %q, which the policy forbids", path, bad)
		}
	}
}

// A client chooses HTML or JSON.
func TestHandler_FormatByQueryAndAccept(t *testing.T) {
	t.Parallel()
	const html, data = "text/html; charset=utf-8", "application/json; charset=utf-8"
	for name, c := range map[string]struct{ path, accept, want string }{
		"a browser":       {"/status", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", html},
		"curl":            {"/status", "*/*", html},
		"nothing":         {"/status", "", html},
		"a script":        {"/status", "application/json", data},
		"several kinds":   {"/status", "text/plain, Application/JSON;q=0.9", data},
		"asked for json":  {"/status?format=json", "text/html", data},
		"asked for html":  {"/status?format=html", "application/json", html},
		"asked for other": {"/status?format=xml", "", data},
	} {
		res, body := serve(t, healthy(), c.path, "Accept", c.accept)
		if res.Header.Get("Content-Type") != c.want || res.Header.Get("Vary") != "Accept, Accept-Language" {
			t.Errorf("%s: %v", name, res.Header)
		}
		if bad := name == "asked for other"; bad != (res.StatusCode == http.StatusBadRequest) || bad && !strings.Contains(body, "format is html or json") {
			t.Errorf("%s: %d %s", name, res.StatusCode, body)
		}
	}
	res, _ := serve(t, healthy(), "/status/")
	if res.StatusCode != http.StatusMovedPermanently || res.Header.Get("Location") != "/status" {
		t.Errorf("with a slash: %d %s", res.StatusCode, res.Header.Get("Location"))
	}
}

// Tools rely on the names of the JSON.
func TestJSON_NamesAreStable(t *testing.T) {
	t.Parallel()
	s := broken()
	s.ProbesNote, s.Engine.Cause = "a note", diagnosis.EngineTimeout
	s.Engine.RateLimit.ReportedAt, s.WhatsApp.FailingSince = before(3), before(9)
	s.Probes[0].Elsewhere = true
	_, body := serve(t, s, "/status?format=json")
	var all any
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	walk("", all, found)
	var got []string
	for path := range found {
		got = append(got, path)
	}
	slices.Sort(got)
	if diff := cmp.Diff(strings.Fields(jsonNames), got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

// walk collects the paths of all values that are no objects or lists.
func walk(path string, v any, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, sub := range v {
			walk(strings.TrimPrefix(path+"."+k, "."), sub, found)
		}
	case []any:
		for _, sub := range v {
			walk(path+"[]", sub, found)
		}
	default:
		found[path] = true
	}
}

const jsonNames = `acquisitions[].at acquisitions[].diagnosis acquisitions[].label acquisitions[].outcome acquisitions[].polls
acquisitions[].seconds at build.go build.started build.version
causes[].code causes[].evidence[] causes[].help causes[].labels[] causes[].last causes[].sessions causes[].since causes[].title causes[].who
changes[].about changes[].at changes[].diagnosis changes[].from changes[].label changes[].to
engine.address engine.cause engine.kind engine.last.at engine.last.class engine.last.seconds engine.last.text
engine.rate_limit.known engine.rate_limit.remaining engine.rate_limit.reported_at engine.responses.not_ready engine.responses.ok
engine.since engine.state links[].href links[].name probe_sessions probes[].elsewhere probes[].every_seconds probes[].name
probes[].runs[].diagnosis probes[].runs[].diagnosis.code probes[].runs[].diagnosis.evidence[] probes[].runs[].diagnosis.help
probes[].runs[].diagnosis.title probes[].runs[].diagnosis.who probes[].runs[].id probes[].runs[].outcome probes[].runs[].probe
probes[].runs[].seconds probes[].runs[].skip_reason probes[].runs[].started_at probes[].runs[].steps probes[].runs[].steps[].name
probes[].runs[].steps[].outcome probes[].runs[].steps[].seconds probes[].runs[].target probes_note
sessions.awaiting_scan sessions.connected sessions.connecting sessions.created sessions.disconnected sessions.failed sessions.unknown
store.kind store.note store.since store.state
verdict.affected verdict.also[] verdict.code verdict.help verdict.level verdict.since verdict.title verdict.who verdict.why
waiter_limit waiters whatsapp.at whatsapp.code whatsapp.evidence[] whatsapp.failing whatsapp.step whatsapp.took`

// Without data, lists are empty instead of null, and all states are there.
func TestJSON_EmptySnapshotHasNoNull(t *testing.T) {
	t.Parallel()
	s := new(statuspage.Recorder).Snapshot(noon)
	s.Probes, s.Links = []statuspage.Probe{}, []statuspage.Link{}
	_, body := serve(t, s, "/status?format=json")
	if strings.Contains(body, "null") || strings.Count(body, `"awaiting_scan": 0`) != 1 || strings.Contains(body, "0001-01-01") && !strings.Contains(body, `"started": "0001-01-01`) {
		t.Error(body)
	}
}

// Every cause of the catalogue has its entry in the page that a diagnosis links to.
func TestCausesPage_ExplainsEveryDiagnosis(t *testing.T) {
	t.Parallel()
	_, page := serve(t, quiet(), "/status/causes")
	for _, code := range diagnosis.Codes() {
		if !strings.Contains(page, `id="`+string(code)+`"`) {
			t.Errorf("%s is missing", code)
		}
	}
	if strings.Contains(page, "`") {
		t.Error("the page shows the marks of code")
	}
	_, status := serve(t, broken(), "/status")
	for _, m := range regexp.MustCompile(`href="status/causes#([^"]+)"`).FindAllStringSubmatch(status, -1) {
		if !strings.Contains(page, `id="`+m[1]+`"`) {
			t.Errorf("a link leads to %s, which is not there", m[1])
		}
	}
}

// Without a key for probes the page names the setting.
func TestPage_WithoutProbesNamesSetting(t *testing.T) {
	t.Parallel()
	_, page := serve(t, quiet(), "/status")
	if !strings.Contains(outline(page), "Probes without a key create no sessions. Set QRGATE_PROBE_API_KEY.") {
		t.Error(outline(page))
	}
}

// Each situation has its texts, and lacks those of others.
func TestPage_TextsBySituation(t *testing.T) {
	t.Parallel()
	outdated := func() statuspage.Snapshot {
		s := shut()
		s.WhatsApp.Step, s.WhatsApp.Code, s.WhatsApp.Evidence = session.StepHandshake, diagnosis.ClientOutdated, nil
		return s
	}
	silent := func() statuspage.Snapshot {
		s := quiet()
		s.Probes = []statuspage.Probe{{Name: "create_delete", Every: 60, Runs: []probes.Result{{StartedAt: before(9), Outcome: session.Abandoned, SkipReason: "no_leader"}}}}
		return s
	}
	for name, c := range map[string]struct {
		show       func() statuspage.Snapshot
		says, hush []string
	}{
		"the engine is down": {gone, []string{"All users; no session waits, 1 session got no QR in 15 min", "Active sessions 0 none",
			"Rate limit: unknown, last reported", "last request"}, []string{"Rate limit: not reported", "(1 session"}},
		"WhatsApp unreachable":     {shut, []string{"failing The name web.whatsapp.com cannot be resolved Affected", "Why The name web.whatsapp.com cannot be resolved. dns_failed", "● up", "WhatsApp unreachable", "Rate limit: not reported", "no run yet"}, []string{"No QR was requested", "no call yet"}},
		"the library is outdated":  {outdated, []string{"WhatsApp responds and sends no codes client_outdated", "only an update helps"}, []string{"WhatsApp unreachable"}},
		"healthy":                  {healthy, []string{"21 calls left", "WhatsApp reachable"}, []string{"Rate limit: not reported", "fails"}},
		"just started":             {quiet, []string{"No QR was requested yet", "Active sessions 0 none", "Rate limit: not reported"}, []string{"WhatsApp reachable", "of probes", "WhatsApp unreachable"}},
		"a probe that fails":       {broken, []string{"fails"}, []string{"no result yet"}},
		"a probe without a result": {silent, []string{"no result yet"}, []string{"✓ works", "fails"}},
	} {
		_, page := serve(t, c.show(), "/status")
		text := strings.ReplaceAll(outline(page), "&#39;", "'")
		for _, want := range c.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, text)
			}
		}
		for _, no := range c.hush {
			if strings.Contains(text, no) {
				t.Errorf("%s: it says %q in\n%s", name, no, text)
			}
		}
	}
}

// A probe that another replica runs is not shown as failing.
func TestPage_ProbeOnOtherReplica(t *testing.T) {
	t.Parallel()
	s := healthy()
	s.Probes[2].Runs[0] = failed("x", before(5000), diagnosis.DNSFailed, "no such host")
	s.Probes[2].Elsewhere = true
	_, page := serve(t, s, "/status")
	if text := outline(page); !strings.Contains(text, "create_connect_qr ○ runs at another replica") {
		t.Error(text)
	}
}
