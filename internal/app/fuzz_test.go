package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/internal/app"
	"qrgate/internal/session"
)

// engineResponse is an engine that responds the same to every call.
type engineResponse struct {
	status      int
	contentType string
	body        string
}

// RoundTrip implements [http.RoundTripper].
func (e engineResponse) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: e.status, Header: http.Header{"Content-Type": {e.contentType}}, Request: r,
		Body: io.NopCloser(strings.NewReader(e.body)), ContentLength: int64(len(e.body))}, nil
}

// fuzzRequests are one request of each documented route.
var fuzzRequests = [][2]string{
	{"GET", "/api/sessions"}, {"GET", "/api/sessions/crm-1"}, {"GET", "/api/sessions/crm-1/qr"}, {"GET", "/api/sessions/7/status"},
	{"POST", "/api/sessions"}, {"POST", "/api/sessions/crm-1/connect"}, {"POST", "/api/sessions/crm-1/restart"},
	{"POST", "/api/sessions/crm-1/disconnect"}, {"DELETE", "/api/sessions/crm-1"}, {"GET", "/health"},
}

// Whatever an engine of another API responds, its clients get the documented API: JSON with success, or with an error's
// code; the reader of its own clients' responses finds no state that does not exist.
func FuzzDialects(f *testing.F) {
	for _, body := range []string{
		`{"name":"crm-1","status":"SCAN_QR_CODE","me":{"id":"1@c.us"},"value":"2@a,b,c"}`, `[[[{"name":"crm-1"}]]]`,
		`{"code":200,"success":true,"data":{"id":"1","name":"crm-1","connected":true,"loggedIn":false,"QRCode":"data:image/png;base64,AA=="}}`,
		`{"results":{"qr_link":"http://h/statics/qr.png","qr_duration":30},"code":"SUCCESS"}`, `{"message":"user is already logged in"}`,
		`[{"id":"a","name":"crm-1","connectionStatus":"connecting","disconnectionReasonCode":401}]`, `{"instance":{"state":"open"},"base64":"x","count":1}`,
		`<html>502</html>`, ``, `null`, `{"data":{"users":[{"name":"crm-1","token":"t","id":7}]}}`,
	} {
		f.Add(byte(0), byte(2), uint16(200), body)
	}
	f.Fuzz(func(t *testing.T, kind, route byte, status uint16, body string) {
		d := app.Dialects()[int(kind)%len(app.Dialects())]
		e := engineResponse{200 + int(status)%400, "application/json", body}
		transport := dialect.NewTransport(d, &url.URL{Scheme: "http", Host: "engine.test"}, e)
		request := fuzzRequests[int(route)%len(fuzzRequests)]
		r, err := http.NewRequestWithContext(t.Context(), request[0], "http://x"+request[1], strings.NewReader(`{"sessionId":"crm-1"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Api-Key", "canary.Zq7")
		for range 2 { // the second reads what the transport remembers
			res, err := transport.RoundTrip(r.Clone(t.Context()))
			if err == nil {
				checkDocumented(t, d.Kind, e, res)
			}
		}
		for _, verb := range []dialect.Verb{dialect.QR, dialect.Status, dialect.List, dialect.Create} {
			o := d.Outcome(verb, compat.Response{Status: e.status, Header: http.Header{}, Body: []byte(body)})
			if o.IsRefused && !o.IsError || !isState(o.Session.State) {
				t.Errorf("%s %s: %+v", d.Kind, verb, o)
			}
		}
		checkSplice(t, body)
	})
}

func checkDocumented(t *testing.T, kind string, e engineResponse, res *http.Response) {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if string(b) == e.body && res.StatusCode == e.status {
		return // handed on: of a proxy in front of the engine
	}
	var body struct {
		Success *bool
		Code    string
		Status  any
	}
	if err != nil || json.Unmarshal(b, &body) != nil || res.StatusCode < 200 || res.StatusCode > 599 {
		t.Errorf("%s: %d %q", kind, res.StatusCode, b)
	}
	isHealth := body.Status == "ok"
	if !isHealth && (body.Success == nil || *body.Success != (res.StatusCode < 400) || !*body.Success && body.Code == "") {
		t.Errorf("%s: %d %s", kind, res.StatusCode, b)
	}
	if strings.Contains(string(b), "canary.Zq7") {
		t.Errorf("%s: the response has the key: %s", kind, b)
	}
}

// checkSplice checks that replacing a member changes nothing but it.
func checkSplice(t *testing.T, body string) {
	t.Helper()
	if !json.Valid([]byte(body)) {
		return
	}
	out := dialect.SpliceMember([]byte(body), "status", []byte(`"X"`))
	var before, after map[string]json.RawMessage
	if !json.Valid(out) {
		t.Errorf("%q became %q", body, out)
	}
	if json.Unmarshal([]byte(body), &before) != nil || before == nil {
		return
	}
	if err := json.Unmarshal(out, &after); err != nil || len(after) != len(before) {
		t.Errorf("%q became %q", body, out)
	}
	for name := range before {
		if name != "status" && !slices.Equal(before[name], after[name]) {
			t.Errorf("%q became %q", body, out)
		}
	}
}

func isState(s session.State) bool {
	return slices.Contains([]session.State{
		"", session.Unknown, session.Created, session.Connecting, session.AwaitingScan, session.Connected, session.Disconnected, session.Failed,
	}, s)
}
