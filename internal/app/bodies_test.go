package app_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

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

// A 404 of a connect means that the engine does not know the session, which it has just created, or the route.
func TestConnect_404OfTheEngine(t *testing.T) {
	for body, want := range map[string]struct {
		status      int
		code, cause string
	}{
		`{"success":false,"error":"Sesión no encontrada"}`:                      {404, "SESSION_NOT_FOUND", "engine_inconsistent"},
		`{"message":"Cannot POST /api/sessions/1/connect","error":"Not Found"}`: {503, "ENGINE_BAD_ANSWER", "engine_bad_response"},
	} {
		denied := before(func(e *enginesim.Engine) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/connect") {
					e.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, body)
			})
		})
		t.Run(want.code, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				r.create("crm-1")
				r.post("/api/sessions/crm-1/connect", "{}").wantsCode(want.status, want.code)
				r.get("/api/sessions/crm-1/qr?wait=3")
				if res := r.get("/api/sessions/crm-1/qr/status"); res.text("data.diagnosis.code") != want.cause {
					r.Errorf("%s", res.body)
				}
			}, denied)
		})
	}
}

// Wrappers pass the statuses of Baileys' errors on. A connection that WhatsApp closed is no refusal of the request; an
// account that it has banned is one. A 408 is no refusal in any words.
func TestConnect_4xxAboutTheConnectionToWhatsApp(t *testing.T) {
	for status, words := range map[int]string{
		http.StatusPreconditionRequired: "Connection Failure", http.StatusForbidden: "Connection Failure",
		http.StatusRequestTimeout: "session timeout",
	} {
		failures := 3
		refused := before(func(e *enginesim.Engine) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/connect") || failures == 0 {
					e.ServeHTTP(w, r)
					return
				}
				failures--
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, `{"statusCode":%d,"message":%q}`, status, words)
			})
		})
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				id := r.create("crm-1")
				res := r.post("/api/sessions/crm-1/connect", "{}")
				if status != http.StatusForbidden {
					res.wants(http.StatusOK)
					r.insists(id, 20*time.Second)
					return
				}
				res.wantsCode(http.StatusForbidden, "CONNECTION_ERROR")
			}, refused)
		})
	}
}

// A client that leaves before the engine has accepted its connect gets the QR when it asks for it.
func TestConnect_ClientLeaves(t *testing.T) {
	isFirst := true
	aborts := before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/connect") && isFirst {
				isFirst = false
				_, _ = io.Copy(io.Discard, r.Body) // net/http notices a closed connection only then
				<-r.Context().Done()
				return
			}
			e.ServeHTTP(w, r)
		})
	})
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/api/sessions/"+id+"/connect", strings.NewReader("{}"))
		req.Header.Set("X-API-Key", "key-a")
		if res, err := r.http.Do(req); err == nil {
			_ = res.Body.Close()
			r.Fatalf("%d", res.StatusCode)
		}
		r.insists(id, 10*time.Second)
	}, aborts)
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
			res := r.post("/api/sessions", c.body, "Content-Type", c.kind, "Content-Encoding", c.packed)
			res.wants(http.StatusCreated)
			if got := res.text("data.session.sessionId"); got != name {
				r.Errorf("%s: the session is %q in %s", name, got, res.body)
			}
			r.post("/api/sessions/"+name+"/connect", "force=", "Content-Type", "application/x-www-form-urlencoded").wants(http.StatusOK)
			r.qr(name)
		}
	}, forms)
}
