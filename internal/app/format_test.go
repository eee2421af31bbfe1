package app_test

import (
	"bytes"
	"compress/gzip"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"qrgate/internal/test/enginesim"
	"qrgate/proxy"
)

func withQRFormat(t *testing.T, text string) func(*setup) {
	t.Helper()
	formats, err := proxy.ParseQRFormats(text)
	if err != nil {
		t.Fatal(err)
	}
	return func(s *setup) { s.proxy = func(c *proxy.Config) { c.QRFormats = formats } }
}

// Bare base64 for one key, or for all but one (contract C7): in the QR, the list, the session and the create.
func TestQRFormat_PerKey(t *testing.T) {
	for format, bare := range map[string]bool{
		"data-url": false, "base64": true, "data-url,key-a:base64": true, "base64,key-a:data-url": false, "data-url,key-b:base64": false,
	} {
		t.Run(format, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				code := r.get("/api/sessions/" + id + "/qr").text("data.qrCode")
				if strings.HasPrefix(code, "data:image/png;base64,") == bare || !strings.Contains(code, "iVBORw0KGgo") {
					r.Errorf("the QR is %.40s", code)
				}
				for _, path := range []string{"/api/sessions", "/api/sessions/" + id} {
					if res := r.get(path); strings.Contains(res.body, "data:image/png") == bare {
						r.Errorf("%s: %.400s", path, res.body)
					}
				}
			}, withQRFormat(t, format))
		})
	}
}

func TestQRFormat_Picture(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		res := r.get("/api/sessions/"+id+"/qr.png?wait=0", "Accept", "image/png")
		if res.StatusCode != http.StatusAccepted || res.text("code") != "QR_NOT_READY" {
			r.Errorf("before the connect: %d %s", res.StatusCode, res.body)
		}
		r.connect(id)
		for _, c := range []struct {
			path, accept string
			isPicture    bool
		}{
			{"/qr.png", "*/*", true}, {"/qr.png", "application/json", true}, {"/qr", "image/png", true},
			{"/qr", "image/webp,image/*;q=0.8,*/*;q=0.5", true}, {"/qr", "*/*", false}, {"/qr", "image/png, application/json", false},
			{"/qr", "application/json, text/plain, */*", false}, {"/qr", "image/png;q=0, */*", false},
		} {
			res := r.get("/api/sessions/"+id+c.path, "Accept", c.accept)
			res.wants(http.StatusOK)
			_, err := png.Decode(strings.NewReader(res.body))
			if (err == nil) != c.isPicture || (res.Header.Get("Content-Type") == "image/png") != c.isPicture || res.Header.Get("Cache-Control") != "no-store" {
				r.Errorf("%s as %s: %v, %v", c.path, c.accept, err, res.Header)
			}
		}
		head := r.send("HEAD", "/api/sessions/"+id+"/qr.png", "")
		if head.Header.Get("Content-Type") != "image/png" || head.body != "" {
			r.Errorf("HEAD: %v", head.Header)
		}
	})
}

func TestParseQRFormats_RefusesOther(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "png", "data-url,base64", "data-url,key-canary:png", "data-url,key-canary"} {
		if _, err := proxy.ParseQRFormats(text); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// ?wait=0 without a key, with a wrong one and for an unknown session is refused as without it.
func TestQR_WaitZeroAsksTheEngine(t *testing.T) {
	bubble(t, &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}, func(r *rig) {
		id := r.create("crm-1")
		r.get("/api/sessions/"+id+"/qr?wait=0", "X-API-Key", "-").wants(http.StatusUnauthorized)
		r.get("/api/sessions/"+id+"/qr?wait=0", "X-API-Key", "key-wrong").wants(http.StatusUnauthorized)
		r.get("/api/sessions/crm-none/qr?wait=0").wants(http.StatusNotFound)
		r.get("/api/sessions/" + id + "/qr?wait=0").wants(http.StatusAccepted)
	})
}

// compressing compresses every response of an engine, asked or not.
func compressing(e *enginesim.Engine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, r)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = io.Copy(z, rec.Body)
		_ = z.Close()
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(packed.Bytes())
	})
}

func TestSessionRoutes_EngineCompressesUnasked(t *testing.T) {
	bubble(t, &enginesim.Engine{}, func(r *rig) {
		id := r.create("crm-1")
		r.connect(id)
		r.qr(id)
		for _, path := range []string{"", "/" + id, "/" + id + "/status"} {
			if res := r.get("/api/sessions" + path); res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != "" {
				r.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
			}
		}
		r.send("DELETE", "/api/sessions/"+id, "").wants(http.StatusOK)
	}, before(compressing))
}
