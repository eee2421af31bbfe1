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

// response is a response of qrgate, read to its end.
type response struct {
	*http.Response
	rig  *rig
	body string
	json map[string]any
}

// do sends a request and reads the response.
func (r *rig) do(req *http.Request) response {
	r.Helper()
	raw, err := r.http.Do(req)
	if err != nil {
		r.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer raw.Body.Close()
	body, err := io.ReadAll(raw.Body)
	if err != nil {
		r.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	res := response{Response: raw, rig: r, body: string(body)}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	_ = d.Decode(&res.json) // the responseChecker reports an error
	return res
}

// wants ends the test if the status is another.
func (res response) wants(status int) {
	res.rig.Helper()
	if res.StatusCode != status {
		res.rig.Fatalf("%s %s: status %d, want %d: %.300s", res.Request.Method, res.Request.URL, res.StatusCode, status, res.body)
	}
}

// wantsCode checks an error's status and code.
func (res response) wantsCode(status int, code string) {
	res.rig.Helper()
	res.wants(status)
	if got := res.text("code"); got != code {
		res.rig.Errorf("%s %s: code %q, want %q", res.Request.Method, res.Request.URL, got, code)
	}
}

// wantsQR checks the body of /qr field by field (contract 1.2 S5).
func (res response) wantsQR() {
	res.rig.Helper()
	const prefix = "data:image/png;base64,iVBORw0KGgo"
	if code := res.text("data.qrCode"); !strings.HasPrefix(code, prefix) {
		res.rig.Errorf("data.qrCode is %.40q…, want the data URL of a PNG", code)
	}
	if got := res.text("data.status"); got != "qr_code" {
		res.rig.Errorf("data.status is %q", got)
	}
	if res.at("success") != true || res.text("data.sessionId") == "" || !strings.HasSuffix(res.text("data.expiresAt"), "Z") {
		res.rig.Errorf("an incomplete QR: %.200s", res.body)
	}
}

// at is the member at a path such as data.session.id, or nil.
func (res response) at(path string) any {
	var v any = res.json
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
func (res response) text(path string) string {
	if v := res.at(path); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// responseChecker checks every response of qrgate for what none may contain.
type responseChecker struct {
	t    *testing.T
	next http.RoundTripper

	mu       sync.Mutex
	allow429 bool // the engine's limit is reached on purpose
}

// sessionRoute matches the paths to which qrgate itself responds.
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
	for _, violation := range w.violations(req, res, body) {
		w.t.Errorf("%s %s → %d: %s: %.300s", req.Method, req.URL.Path, res.StatusCode, violation, body)
	}
	return res, nil
}

// violations is what is wrong with a response on a session route, whatever the request was.
func (w *responseChecker) violations(req *http.Request, res *http.Response, body []byte) (found []string) {
	check := func(wrong bool, text string) {
		if wrong {
			found = append(found, text)
		}
	}
	w.mu.Lock()
	check((res.StatusCode == 429 && !w.allow429 || res.StatusCode >= 500 && res.StatusCode != 503), "a status that must not leave qrgate")
	w.mu.Unlock()
	check(res.Header.Get("X-Request-Id") == "", "no X-Request-Id")
	isPicture := res.StatusCode == http.StatusOK && strings.Contains(req.Header.Get("Accept"), "image/") &&
		strings.HasPrefix(res.Header.Get("Content-Type"), "image/")
	if req.Method == http.MethodOptions || req.Method == http.MethodHead || isPicture {
		return found
	}
	var b map[string]any
	check(res.Header.Get("Content-Type") != "application/json; charset=utf-8", "a wrong Content-Type "+res.Header.Get("Content-Type"))
	check(json.Unmarshal(body, &b) != nil || b == nil, "no JSON object")
	check(res.Header.Get("Cache-Control") != "no-store", "may be cached")
	check(res.StatusCode == 503 && res.Header.Get("Retry-After") == "", "no Retry-After")
	queued := b["code"] == "CONNECT_QUEUED" // accepted: qrgate sends the connect later
	if res.StatusCode < 300 && (res.StatusCode != http.StatusAccepted || queued) {
		check(b["success"] != true, "success is not true")
		check(!strings.Contains(strings.Join(res.Header.Values("Vary"), ","), "X-API-Key"), "Vary does not name the key")
		return found
	}
	text, _ := b["message"].(string)
	stamp, _ := b["timestamp"].(string)
	check(b["success"] != false, "success is not false")
	check(text == "" || b["error"] != b["message"], "error and message differ or are empty")
	check(b["code"] == nil || b["code"] == "", "no code")
	check(len(stamp) != len("2006-01-02T15:04:05Z") || !strings.HasSuffix(stamp, "Z"), "the timestamp is not to the second")
	check(strings.HasPrefix(stamp, "0001"), "the timestamp is none")
	check(strings.Contains(string(body), "429") && res.StatusCode != 429, "clients take it for a rate limit")
	return found
}
