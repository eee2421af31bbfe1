package app_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"testing"

	"qrgate/internal/test/enginesim"
)

// PHP writes an empty object as [].
func TestConnect_EmptyArrayOfPHP(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		r.create("crm-1")
		r.post("/api/sessions/crm-1/connect", "[]").wants(http.StatusOK)
		r.qr("crm-1")
		r.post("/api/sessions/crm-1/restart", " []\n").wants(http.StatusOK)
		r.post("/api/sessions/crm-1/connect", "[1]").wants(http.StatusBadRequest)
	})
}

// What an engine may be able to read is the engine's to judge: forms, packed bodies, a byte order mark before the JSON.
func TestConnect_BodiesReachTheEngine(t *testing.T) {
	forms := before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Header.Get("Content-Encoding") == "gzip" {
				unpack, _ := gzip.NewReader(bytes.NewReader(body))
				body, _ = io.ReadAll(unpack)
			}
			if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
				fields, _ := url.ParseQuery(string(body))
				body = fmt.Appendf(nil, `{"sessionId":%q,"sessionName":"x"}`, fields.Get("sessionId"))
			}
			body = bytes.TrimPrefix(body, []byte("\ufeff"))
			r.Header.Set("Content-Type", "application/json")
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			e.ServeHTTP(w, r)
		})
	})
	var packed bytes.Buffer
	pack := gzip.NewWriter(&packed)
	_, _ = io.WriteString(pack, `{"sessionId":"crm-2","sessionName":"x"}`)
	_ = pack.Close()
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		for name, c := range map[string]struct{ body, kind, packed string }{
			"crm-1": {"sessionId=crm-1&sessionName=x", "application/x-www-form-urlencoded", "-"},
			"crm-2": {packed.String(), "application/json", "gzip"},
			"crm-3": {"\ufeff" + `{"sessionId":"crm-3","sessionName":"x"}`, "application/json; charset=utf-8", "-"},
		} {
			a := r.post("/api/sessions", c.body, "Content-Type", c.kind, "Content-Encoding", c.packed)
			a.wants(http.StatusCreated)
			if got := a.text("data.session.sessionId"); got != name {
				r.Errorf("%s: the session is %q in %s", name, got, a.body)
			}
			r.post("/api/sessions/"+name+"/connect", "force=", "Content-Type", "application/x-www-form-urlencoded").wants(http.StatusOK)
			r.qr(name)
		}
	}, forms)
}
