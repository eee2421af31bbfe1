package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// answer is what came back from qrgate, read to its end.
type answer struct {
	*http.Response
	rig  *rig
	body string
	json map[string]any
}

// do sends a request and reads its answer.
func (r *rig) do(req *http.Request) answer {
	r.Helper()
	res, err := r.http.Do(req)
	if err != nil {
		r.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	a := answer{Response: res, rig: r, body: string(body)}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	_ = d.Decode(&a.json) // the responseChecker complains
	return a
}

// wants ends the test when the status is another.
func (a answer) wants(status int) {
	a.rig.Helper()
	if a.StatusCode != status {
		a.rig.Fatalf("%s %s answers %d, want %d: %.300s", a.Request.Method, a.Request.URL, a.StatusCode, status, a.body)
	}
}

// wantsCode checks an error's status and code.
func (a answer) wantsCode(status int, code string) {
	a.rig.Helper()
	a.wants(status)
	if got := a.text("code"); got != code {
		a.rig.Errorf("%s %s: code %q, want %q", a.Request.Method, a.Request.URL, got, code)
	}
}

// wantsQR checks the body of /qr field by field (contract 1.2 S5).
func (a answer) wantsQR() {
	a.rig.Helper()
	const prefix = "data:image/png;base64,iVBORw0KGgo"
	if code := a.text("data.qrCode"); !strings.HasPrefix(code, prefix) {
		a.rig.Errorf("data.qrCode is %.40q…, want the data URL of a PNG", code)
	}
	if got := a.text("data.status"); got != "qr_code" {
		a.rig.Errorf("data.status is %q", got)
	}
	if a.at("success") != true || a.text("data.sessionId") == "" || !strings.HasSuffix(a.text("data.expiresAt"), "Z") {
		a.rig.Errorf("an incomplete QR: %.200s", a.body)
	}
}

// at is the member at a path such as data.session.id, or nil.
func (a answer) at(path string) any {
	var v any = a.json
	for _, name := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// text is that member as text, whether it is a string or a number.
func (a answer) text(path string) string {
	if v := a.at(path); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// responseChecker looks at every answer that leaves qrgate and complains about what none may be.
type responseChecker struct {
	t    *testing.T
	next http.RoundTripper

	mu       sync.Mutex
	allow429 bool // the engine's limit is reached on purpose
}

// handleSession is a path that qrgate answers itself.
var sessionRoute = regexp.MustCompile(`^/api/sessions(/[^/]+(/(qr|qr/status|status|connect|restart|disconnect))?)?$`)

// RoundTrip implements [http.RoundTripper].
func (w *responseChecker) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := w.next.RoundTrip(req)
	if err != nil || !sessionRoute.MatchString(req.URL.Path) || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	for _, complaint := range w.complaints(req, res, body) {
		w.t.Errorf("%s %s → %d: %s: %.300s", req.Method, req.URL.Path, res.StatusCode, complaint, body)
	}
	return res, nil
}

// complaints is what is wrong with an answer on a session route, whatever was asked.
func (w *responseChecker) complaints(req *http.Request, res *http.Response, body []byte) (found []string) {
	say := func(wrong bool, text string) {
		if wrong {
			found = append(found, text)
		}
	}
	w.mu.Lock()
	say((res.StatusCode == 429 && !w.allow429 || res.StatusCode >= 500 && res.StatusCode != 503), "a status that must not leave qrgate")
	w.mu.Unlock()
	say(res.Header.Get("X-Request-Id") == "", "no X-Request-Id")
	isPicture := res.StatusCode == http.StatusOK && strings.Contains(req.Header.Get("Accept"), "image/") &&
		strings.HasPrefix(res.Header.Get("Content-Type"), "image/")
	if req.Method == http.MethodOptions || req.Method == http.MethodHead || isPicture {
		return found
	}
	var b map[string]any
	say(res.Header.Get("Content-Type") != "application/json; charset=utf-8", "a wrong Content-Type "+res.Header.Get("Content-Type"))
	say(json.Unmarshal(body, &b) != nil || b == nil, "no JSON object")
	say(res.Header.Get("Cache-Control") != "no-store", "may be cached")
	say(res.StatusCode == 503 && res.Header.Get("Retry-After") == "", "no Retry-After")
	queued := b["code"] == "CONNECT_QUEUED" // accepted: qrgate carries the connect out
	if res.StatusCode < 300 && (res.StatusCode != http.StatusAccepted || queued) {
		say(b["success"] != true, "success is not true")
		say(!strings.Contains(strings.Join(res.Header.Values("Vary"), ","), "X-API-Key"), "Vary does not name the key")
		return found
	}
	text, _ := b["message"].(string)
	stamp, _ := b["timestamp"].(string)
	say(b["success"] != false, "success is not false")
	say(text == "" || b["error"] != b["message"], "error and message differ or are empty")
	say(b["code"] == nil || b["code"] == "", "no code")
	say(len(stamp) != len("2006-01-02T15:04:05Z") || !strings.HasSuffix(stamp, "Z"), "the timestamp is not to the second")
	say(strings.HasPrefix(stamp, "0001"), "the timestamp is none")
	say(strings.Contains(string(body), "429") && res.StatusCode != 429, "clients take it for a rate limit")
	return found
}
