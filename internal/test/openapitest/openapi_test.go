package openapitest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/openapitest"
)

// recorder is a testing.TB that records failures.
type recorder struct {
	testing.TB
	said []string
}

func (w *recorder) Helper() {}

func (w *recorder) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// canned returns the same response to every request.
type canned struct {
	status int
	body   string
	drop   string // a header that is missing
	kind   string // Content-Type; JSON when empty
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "X-Request-Id": {"r-1"}, "Cache-Control": {"no-store"}, "Vary": {"X-API-Key"}, "Retry-After": {"2"}}
	h.Del(c.drop)
	if c.kind != "" {
		h.Set("Content-Type", c.kind)
	}
	return &http.Response{StatusCode: c.status, Header: h, Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

const (
	problem = `{"success":false,"error":"x","message":"x","code":"QR_NOT_READY","timestamp":"2026-01-02T03:04:05Z"}`
	code    = `{"success":true,"data":{"id":1,"sessionId":"a","qrCode":"data:image/png;base64,AAAA","status":"qr_code",` +
		`"expiresAt":"2026-01-02T03:04:05.678Z","generatedAt":"2026-01-02T03:04:05.678Z","expiresIn":9}}`
	moved = `{"success":true,"message":"x","data":{"sessionId":"a","status":"connecting"}}`
	ready = `{"success":true,"data":{"sessionId":"a","ready":false,"state":"connecting","status":"connecting","generatedAt":null,` +
		`"expiresAt":null,"expiresIn":0,"sequence":0,"attempts":1,"since":null,"retryAfter":2,"queue":null,"diagnosis":%s}}`
	cause = `{"code":"qr_not_emitted","title":"x","help":"x","who":"operator","evidence":["x"]}`
)

// The validator accepts what the document allows, and nothing else.
func TestValidator(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call     string
		response canned
		good     bool
	}{
		"a code":                     {"GET /api/sessions/1/qr", canned{status: 200, body: code}, true},
		"a code without its image":   {"GET /api/sessions/1/qr", canned{status: 200, body: strings.Replace(code, "qrCode", "code", 1)}, false},
		"a code as bare base64":      {"GET /api/sessions/1/qr", canned{status: 200, body: strings.Replace(code, "data:image/png;base64,", "", 1)}, true},
		"a code as another text":     {"GET /api/sessions/1/qr", canned{status: 200, body: strings.Replace(code, "data:image/png;base64,", "file:", 1)}, false},
		"a code that may be cached":  {"GET /api/sessions/1/qr", canned{status: 200, body: code, drop: "Cache-Control"}, false},
		"not yet":                    {"GET /api/sessions/1/qr", canned{status: 202, body: problem}, true},
		"not yet, and not when":      {"GET /api/sessions/1/qr", canned{status: 202, body: problem, drop: "Retry-After"}, false},
		"not yet as a success":       {"GET /api/sessions/1/qr", canned{status: 200, body: `{"success":true,"data":{"qrCode":null}}`}, false},
		"the incident":               {"GET /api/sessions/1/qr", canned{status: 500, body: problem}, false},
		"a bad gateway":              {"GET /api/sessions/1/qr", canned{status: 502, body: problem}, false},
		"HTML":                       {"GET /api/sessions/1/qr", canned{status: 503, body: "<html>", kind: "text/html"}, false},
		"no request id":              {"GET /api/sessions/1/qr", canned{status: 404, body: problem, drop: "X-Request-Id"}, false},
		"a connect":                  {"POST /api/sessions/a/connect", canned{status: 200, body: moved}, true},
		"a connect that is pending":  {"POST /api/sessions/a/connect", canned{status: 200, body: strings.Replace(moved, "connecting", "pending", 1)}, false},
		"readiness":                  {"GET /api/sessions/1/qr/status", canned{status: 200, body: fmt.Sprintf(ready, "null")}, true},
		"readiness with a cause":     {"GET /api/sessions/1/qr/status", canned{status: 200, body: fmt.Sprintf(ready, cause)}, true},
		"an unknown cause":           {"GET /api/sessions/1/qr/status", canned{status: 200, body: fmt.Sprintf(ready, strings.Replace(cause, "qr_not_emitted", "gremlins", 1))}, false},
		"a stream":                   {"GET /api/sessions/1/qr/status", canned{status: 200, kind: "text/event-stream"}, true},
		"stats pass through":         {"GET /api/sessions/stats", canned{status: 200, body: `{"any":1}`, drop: "Vary"}, true},
		"what is not documented":     {"GET /api/messages/1", canned{status: 500, body: `{}`}, true},
		"a method that is not there": {"PATCH /api/sessions/1", canned{status: 405, body: problem}, true},
		"a method that should not":   {"PATCH /api/sessions/1", canned{status: 200, body: problem}, false},
	} {
		w := &recorder{TB: t}
		method, path, _ := strings.Cut(tt.call, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:1"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := openapitest.Checking(w, tt.response).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if (len(w.said) == 0) != tt.good {
			t.Errorf("%s: %q", name, w.said)
		}
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != tt.response.body {
			t.Errorf("%s: the body does not come through: %q, %v", name, body, err)
		}
	}
}

// cut is a truncated response.
type cut struct{}

func (cut) RoundTrip(*http.Request) (*http.Response, error) {
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("{"))
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: r}, nil
}

func TestValidator_TruncatedResponseStaysTruncated(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:1/api/sessions/1/qr", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := openapitest.Checking(t, cut{}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); string(body) != "{" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", body, err)
	}
}

// The enumerations of the document match the code.
func TestOpenAPI_CodesMatchCatalogue(t *testing.T) {
	t.Parallel()
	doc, err := openapitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	var codes, states []string
	for _, c := range diagnosis.Codes() {
		codes = append(codes, string(c))
	}
	for _, s := range session.States() {
		states = append(states, string(s))
	}
	schemas := doc.Components.Schemas
	for name, tt := range map[string]struct {
		documented []any
		real       []string
	}{
		"diagnosis codes": {schemas["Diagnosis"].Value.Properties["code"].Value.Enum, codes},
		"states":          {schemas["State"].Value.Enum, states},
	} {
		var documented []string
		for _, v := range tt.documented {
			documented = append(documented, fmt.Sprint(v))
		}
		slices.Sort(documented)
		slices.Sort(tt.real)
		if !slices.Equal(documented, tt.real) {
			t.Errorf("%s: the document has %q, the code %q", name, documented, tt.real)
		}
	}
}

// Every response with a text has an example of each media type, and every example satisfies its schema.
func TestOpenAPI_ExamplesSatisfySchemas(t *testing.T) {
	t.Parallel()
	doc, err := openapitest.Load()
	if err != nil {
		t.Fatal(err)
	}
	events := map[bool]*openapi3.Schema{
		false: doc.Components.Schemas["Readiness"].Value, true: doc.Components.Schemas["PairStatus"].Value,
	}
	used := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				for media, content := range response.Value.Content {
					where := strings.Join([]string{method, path, status, media}, " ")
					if strings.HasPrefix(media, "image/") {
						continue // a picture
					}
					if len(content.Examples) == 0 {
						t.Errorf("%s has no example", where)
					}
					for name, example := range content.Examples {
						used[name] = true
						if err := content.Schema.Value.VisitJSON(example.Value.Value, openapi3.VisitAsResponse()); err != nil {
							t.Errorf("%s: the example %s: %v", where, name, err)
						}
						if media == "text/event-stream" {
							checkEvents(t, events[strings.HasPrefix(path, "/pair/")], example.Value.Value.(string))
						}
					}
				}
			}
		}
	}
	for name := range doc.Components.Examples {
		if !used[name] {
			t.Errorf("no response uses the example %s", name)
		}
	}
}

// checkEvents checks the data of the events of a stream.
func checkEvents(t *testing.T, schema *openapi3.Schema, stream string) {
	t.Helper()
	events := regexp.MustCompile(`(?m)^data: (.+)$`).FindAllStringSubmatch(stream, -1)
	for _, event := range events {
		var data any
		if err := json.Unmarshal([]byte(event[1]), &data); err != nil {
			t.Error(err)
		} else if err := schema.VisitJSON(data); err != nil {
			t.Errorf("an event: %v", err)
		}
	}
	if len(events) == 0 {
		t.Errorf("no events in %q", stream)
	}
}
