package fleet

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBlock_IsStable(t *testing.T) {
	t.Parallel()
	if Block("default") != 0 {
		t.Error("the engine named default has other ids than before")
	}
	for name, want := range map[string]int64{"a": Block("a"), "engine-b": Block("engine-b")} {
		if want < 1 || want >= blocks || (want+1)<<blockBits > 1<<31 {
			t.Errorf("the block of %s is %d", name, want)
		}
	}
}

// Clients see an integer of the block, and the engine its own, below a base path and in a packed response too.
func TestNumberIDs(t *testing.T) {
	t.Parallel()
	from := Block("a") << blockBits
	public := strconv.FormatInt(from+7, 10)
	base, _ := url.Parse("http://engine.test/base")
	for name, c := range map[string]struct {
		path, wantPath, body, wantBody string
		isPacked                       bool
	}{
		"get": {"/api/sessions/" + public, "/base/api/sessions/7", `{"data":{"session":{"id":7,"userId":3}}}`,
			`{"data":{"session":{"id":` + public + `,"userId":3}}}`, false},
		"name":   {"/api/sessions/crm-1/status", "/base/api/sessions/crm-1/status", `{"data":{"id":7}}`, `{"data":{"id":` + public + `}}`, false},
		"packed": {"/api/sessions", "/base/api/sessions", `{"data":{"sessions":[{"id":7}]}}`, `{"data":{"sessions":[{"id":` + public + `}]}}`, true},
		"passed": {"/api/sessions/" + public + "/contacts", "/base/api/sessions/7/contacts", `{"data":{"id":7}}`, `{"data":{"id":7}}`, false},
		"other":  {"/api/messages/7", "/base/api/messages/7", `{"id":7}`, `{"id":7}`, false},
		"number": {"/api/sessions/5215551234567", "/base/api/sessions/5215551234567", `{"data":null}`, `{"data":null}`, false},
		"broken": {"/api/sessions/crm-1", "/base/api/sessions/crm-1", `{"data":`, `{"data":`, false},
	} {
		next := transport(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != c.wantPath || r.URL.Opaque != c.wantPath {
				t.Errorf("%s: the engine gets %s, opaque %s", name, r.URL.Path, r.URL.Opaque)
			}
			h, body := http.Header{"Content-Type": {"application/json"}}, []byte(c.body)
			if c.isPacked {
				var packed bytes.Buffer
				w := gzip.NewWriter(&packed)
				_, _ = w.Write(body)
				_ = w.Close()
				h.Set("Content-Encoding", "gzip")
				body = packed.Bytes()
			}
			return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})
		r, _ := http.NewRequest(http.MethodGet, "http://engine.test/base"+c.path, nil)
		r.URL.Opaque = "/base" + c.path
		res, err := NumberIDs(next, base, "a").RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		if err != nil || string(text) != c.wantBody {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// The integer of another engine is unknown here, and costs no call.
func TestNumberIDs_OtherBlock(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("http://engine.test")
	next := transport(func(r *http.Request) (*http.Response, error) {
		t.Errorf("the engine gets %s", r.URL)
		return nil, io.EOF
	})
	for _, id := range []string{"7", strconv.FormatInt(Block("b")<<blockBits+7, 10)} {
		r, _ := http.NewRequest(http.MethodGet, "http://engine.test/api/sessions/"+id+"/qr", nil)
		res, err := NumberIDs(next, base, "a").RoundTrip(r)
		if err != nil || res.StatusCode != http.StatusNotFound {
			t.Fatalf("%s: %v, %v", id, res, err)
		}
		if text, _ := io.ReadAll(res.Body); !strings.Contains(string(text), "SESSION_NOT_FOUND") {
			t.Errorf("%s: %s", id, text)
		}
	}
}
