package statuspage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
)

// outline is what a page says, without its markup.
func outline(page string) string {
	_, page, _ = strings.Cut(page, "<main")
	page = regexp.MustCompile(`(?s)<title>.*?</title>|<[^>]*>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(page), " ")
}

// The page answers in this order: is it broken, for whom, since when, why, what to do; then the parts.
func TestPage_OrderOfContents(t *testing.T) {
	t.Parallel()
	res, page := serve(t, broken(), "/status")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	text, at := outline(page), 0
	for _, want := range []string{
		"failing", "QR delivery is failing: The engine responds with errors.",
		"Affected", "Probably all users", "Since", "11:49:55 UTC", "10 min ago", "Why", "QR_GENERATION_ERROR", "engine_5xx", "What to do", "(operator)",
		"The engine responds with errors (7 sessions)", "Redis cannot be reached (",
		"Engine", "up", "engine.example:3000", "ok 41", "not ready 19", "21 calls left",
		"WhatsApp reachable", "15 min ago", "Store", "degraded", "Active sessions", "41", "connecting 8", "failed 5", "and 1 of probes", "Paired sessions are counted", "Waiting requests", "312 of 5000",
		"Causes of missing QRs", "8", "1 of probes", "crm-00", "and 2 more", "qr_expired", "Who acts: customer",
		"Probes", "create_connect_qr", "fails", "took 45 s, at qr", "create_connect_qr-7-12", "engine_health", "works", "engine_unreachable", "create_delete",
		"Acquisitions", "the last 23 of clients", "no QR", "1 min", "crm-00", "abandoned", "1 acquisition of a probe", "a probe",
		"Changes", "session", "crm-00", "connecting", "failed", "store", "redis unavailable", "6 older changes", "4 changes of probes’ sessions", "a probe’s session",
		"Metrics", "qrgate 1.2.3", "up 1 h 1 min", "go1.26",
	} {
		next := strings.Index(text[at:], want)
		if next < 0 {
			t.Fatalf("%q is missing after %q in\n%s", want, text[max(0, at-60):at], text)
		}
		at += next + len(want)
	}
}

// Nothing in a strip is told by its colour alone: a failure has a sign and is the highest, and every mark
// has its words.
func TestPage_StripsHaveSignsAndTexts(t *testing.T) {
	t.Parallel()
	_, page := serve(t, broken(), "/status")
	strips := strings.Split(page, `<svg class="strip"`)[1:]
	if len(strips) != 4 {
		t.Fatalf("%d strips", len(strips))
	}
	for i, want := range []struct{ label, bad, void string }{
		{"create_connect_qr: 12 runs, 4 failed", "4", "0"}, {"engine_health: 31 runs, 1 failed", "1", "0"},
		{"create_delete: 30 runs, 0 failed", "0", "1"}, {"23 acquisitions, 6 failed", "6", "1"},
	} {
		strip, _, _ := strings.Cut(strips[i], "<p class=\"axis")
		bad := regexp.MustCompile(`<g class="bad"><rect [^>]*y="0"[^>]*height="44"[^>]*/><svg [^>]*><path [^>]*/></svg><title>[^<]+</title></g>`).FindAllString(strip, -1)
		if !strings.Contains(strip, `aria-label="`+want.label+`"`) || fmt.Sprint(len(bad)) != want.bad || fmt.Sprint(strings.Count(strip, `class="void"`)) != want.void {
			t.Errorf("want %v: %d bad in %s", want, len(bad), strip)
		}
	}
	if n := strings.Count(page, `class="break"`); n != 1 {
		t.Errorf("%d breaks before older failures, want that of engine_health", n)
	}
	// Of engine_health's marks, the newest first, only the last lies before the break.
	line := regexp.MustCompile(`<line x1="([0-9.]+)%"[^>]*class="break"`).FindStringSubmatch(strips[1])
	marks := regexp.MustCompile(`<rect x="([0-9.]+)%"[^>]*width="([0-9.]+)%"`).FindAllStringSubmatch(strips[1][:strings.Index(strips[1], "axis")], -1)
	last := 100.0
	for i, m := range marks {
		x, wide, at := number(t, m[1]), number(t, m[2]), number(t, line[1])
		if x < 0 || x+wide > last || (x+wide < at) != (i == len(marks)-1) {
			t.Errorf("mark %d lies from %.1f to %.1f, before %.1f; the break is at %.1f", i, x, x+wide, last, at)
		}
		last = x
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Names that somebody chose to do harm stay text.
func TestPage_HostileNamesAreEscaped(t *testing.T) {
	t.Parallel()
	_, page := serve(t, hostile(), "/status")
	for _, evil := range []string{"<script>alert", "<img", "onerror=alert(1)>", `href="javascript:`} {
		if strings.Contains(page, evil) {
			t.Errorf("the page holds %s", evil)
		}
	}
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	if strings.Contains(page, "\u202e") {
		t.Error("a name turns the page's direction")
	}
	_, body := serve(t, hostile(), "/status?format=json")
	if !json.Valid([]byte(body)) || strings.Contains(body, "<script") {
		t.Errorf("the JSON is %s", body)
	}
}

// What browsers may do with the page: nothing but show it.
func TestHandler_SecurityHeaders(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/status", "/status?format=json", "/status/causes", "/status/app.js", "/status/style.css", "/status/icon-ok.svg", "/status/nothing"} {
		res, body := serve(t, broken(), path)
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if want := path != "/status/nothing"; (res.StatusCode == http.StatusOK) != want {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
		if bad := regexp.MustCompile(`(?i)\b(https?:)?//[a-z]|<style|style=|\son[a-z]+=|<script>`).FindString(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "")); strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && bad != "" {
			t.Errorf("%s holds %q, which the policy forbids", path, bad)
		}
	}
}

// HTML or JSON, as the client likes.
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
		if res.Header.Get("Content-Type") != c.want || res.Header.Get("Vary") != "Accept" {
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

// The JSON's names stay: tools rely on them.
func TestJSON_NamesAreStable(t *testing.T) {
	t.Parallel()
	s := broken()
	s.Probes.Note, s.Engine.Last.Code = "a note", "QR_BROKEN"
	s.Engine.Budget.Told, s.WhatsApp.Since = before(3), before(9)
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

const jsonNames = `at build.go build.started build.uptime_seconds build.version
causes[].code causes[].evidence causes[].help causes[].labels[] causes[].last causes[].probes causes[].runbook causes[].sessions causes[].since causes[].title causes[].who
changes[].about changes[].at changes[].diagnosis changes[].from changes[].label changes[].origin changes[].to
engine.address engine.answers.not_ready engine.answers.ok engine.budget.known engine.budget.left engine.budget.told engine.kind
engine.last.at engine.last.class engine.last.code engine.last.op engine.last.seconds engine.last.status engine.since engine.state
journeys[].at journeys[].diagnosis journeys[].label journeys[].looks journeys[].origin journeys[].outcome journeys[].seconds
links[].href links[].name
probe_sessions probes.configured probes.note probes.probes[].every_seconds probes.probes[].healthy probes.probes[].name
probes.probes[].runs[].began probes.probes[].runs[].diagnosis probes.probes[].runs[].evidence probes.probes[].runs[].id
probes.probes[].runs[].missed probes.probes[].runs[].outcome probes.probes[].runs[].seconds probes.probes[].runs[].step
sessions.awaiting_scan sessions.connected sessions.connecting sessions.created sessions.disconnected sessions.failed sessions.unknown
store.kind store.note store.since store.state
verdict.also[] verdict.diagnosis verdict.level verdict.sentence verdict.since verdict.todo verdict.who verdict.whom verdict.why
waiters.held waiters.limit whatsapp.at whatsapp.diagnosis whatsapp.evidence[] whatsapp.since whatsapp.step`

// Lists are never null, and all states are there, even when there is nothing to say.
func TestJSON_EmptySnapshotHasNoNull(t *testing.T) {
	t.Parallel()
	_, body := serve(t, statuspage.Snapshot{At: noon}, "/status?format=json")
	if strings.Contains(body, "null") || strings.Count(body, `"awaiting_scan": 0`) != 1 || strings.Contains(body, "0001-01-01") && !strings.Contains(body, `"started": "0001-01-01`) {
		t.Error(body)
	}
}

// Twenty sessions are named at most, those in trouble before others; no name is a phone number or long.
func TestLabels_AreMaskedAndLimited(t *testing.T) {
	t.Parallel()
	s := broken()
	for i := range s.Journeys {
		s.Journeys[i].Label = fmt.Sprintf("shop-%02d", i)
	}
	s.Journeys[0].Label, s.Journeys[1].Label = "crm-5550100123", "sk-"+strings.Repeat("k3y", 20)
	_, body := serve(t, s, "/status?format=json")
	var got statuspage.Snapshot
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range got.Causes {
		for _, l := range c.Labels {
			seen[l] = true
		}
	}
	if len(seen) != 6 {
		t.Errorf("of those in trouble %d are named", len(seen))
	}
	for _, j := range got.Journeys {
		seen[j.Label] = true
	}
	for _, c := range got.Changes {
		seen[c.Label] = true
	}
	delete(seen, "")
	if len(seen) != statuspage.MaxLabels || !seen["crm-•••23"] || strings.Contains(body, "5550100") || strings.Contains(body, strings.Repeat("k3y", 6)) {
		t.Errorf("%d are named: %v", len(seen), seen)
	}
}

// Every cause of the catalogue has its place in the page that a diagnosis links to.
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

// Without probes the page says what to set.
func TestPage_WithoutProbesNamesSetting(t *testing.T) {
	t.Parallel()
	_, page := serve(t, quiet(), "/status")
	if !strings.Contains(outline(page), "No probes are configured: set QRGATE_PROBE_API_KEY.") {
		t.Error(outline(page))
	}
}

// What the page says in each case, and what it must not say beside it.
func TestPage_TextsBySituation(t *testing.T) {
	t.Parallel()
	outdated := func() statuspage.Snapshot {
		s := shut()
		s.WhatsApp.Step, s.WhatsApp.Code, s.WhatsApp.Evidence = session.StepHandshake, diagnosis.ClientOutdated, nil
		return s
	}
	silent := func() statuspage.Snapshot {
		s := quiet()
		s.Probes.Probes = []statuspage.Probe{{Name: "create_delete", Every: 60, Runs: []statuspage.Run{{Began: before(9), Outcome: session.Abandoned, Missed: "no_leader"}}}}
		return s
	}
	for name, c := range map[string]struct {
		show       func() statuspage.Snapshot
		says, hush []string
	}{
		"the engine is gone": {gone, []string{"All users; no request waits, 1 session got no QR in 15 min", "(1 session, last request 35 s ago) Engine", "Active sessions 0 none",
			"Rate limit: unknown, last reported", "last request"}, []string{"no session waits", "Rate limit: not reported"}},
		"the way is shut":           {shut, []string{"QR delivery is failing: The name web.whatsapp.com cannot be resolved.", "Why The name web.whatsapp.com cannot be resolved. dns_failed", "● up", "WhatsApp unreachable", "Rate limit: not reported", "no run yet"}, []string{"No QR was requested", "no call yet"}},
		"the library is outdated":   {outdated, []string{"WhatsApp responds and sends no codes client_outdated", "only an update helps"}, []string{"WhatsApp unreachable"}},
		"all is well":               {healthy, []string{"21 calls left", "WhatsApp reachable"}, []string{"Rate limit: not reported", "fails"}},
		"nothing is known":          {quiet, []string{"No QR was requested yet.", "Active sessions 0 none", "Rate limit: not reported"}, []string{"WhatsApp reachable", "of probes", "WhatsApp unreachable"}},
		"a probe that fails":        {broken, []string{"fails"}, []string{"no result yet"}},
		"a probe that says nothing": {silent, []string{"no result yet"}, []string{"✓ works", "fails"}},
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

// Tools read that a probe works, that it fails, or nothing while no run has said anything.
func TestJSON_HealthOfProbes(t *testing.T) {
	t.Parallel()
	s := broken()
	s.Probes.Probes = append(s.Probes.Probes, statuspage.Probe{Name: "rotation", Every: 900},
		statuspage.Probe{Name: "missed", Runs: []statuspage.Run{{Outcome: session.Abandoned}}})
	_, body := serve(t, s, "/status?format=json")
	var got struct {
		Probes struct {
			Probes []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	health := map[any]any{}
	for _, p := range got.Probes.Probes {
		if h, said := p["healthy"]; said {
			health[p["name"]] = h
		}
	}
	want := map[any]any{"engine_health": true, "create_delete": true, "create_connect_qr": false}
	if diff := cmp.Diff(want, health); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}
