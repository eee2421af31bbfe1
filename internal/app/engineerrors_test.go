package app_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// answering puts a handler in front of the engine's GET …/qr. restarts counts the calls that recovery makes.
func answering(qr http.HandlerFunc, recoveries *atomic.Int64) func(*setup) {
	return before(func(e *enginesim.Engine) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch {
			case strings.HasSuffix(req.URL.Path, "/qr"):
				qr(w, req)
				return
			case strings.HasSuffix(req.URL.Path, "/restart"), strings.HasSuffix(req.URL.Path, "/connect"):
				recoveries.Add(1)
			}
			e.ServeHTTP(w, req)
		})
	})
}

func text(status int, kind, server, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Server", server)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const (
	svgQR  = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'%3E%3Cpath d='M0 0h9v9z'/%3E%3C/svg%3E"
	tinyQR = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII"
)

// A picture is returned at once in whatever form it comes, and leads to no recovery step.
func TestQR_PictureInAnyFormIsReturned(t *testing.T) {
	for name, c := range map[string]struct{ body, prefix string }{
		"A3, no padding":        {`{"success":true,"data":{"qrCode":"` + tinyQR + `"}}`, "data:image/png;base64,iVBOR"},
		"A4, a charset":         {`{"success":true,"data":{"qrCode":"data:image/png;charset=utf-8;base64,` + tinyQR + `="}}`, "data:image/png;base64,iVBOR"},
		"A4, another type":      {`{"success":true,"data":{"qrCode":"data:image/jpg; base64, ` + tinyQR + `="}}`, "data:image/png;base64,iVBOR"},
		"A4, an SVG":            {`{"success":true,"data":{"qrCode":"` + svgQR + `"}}`, "data:image/svg+xml;base64,"},
		"A5, beside the object": {`{"success":true,"data":{"session":{"status":"qr_code"},"qrCode":"` + tinyQR + `"}}`, "data:image/png;base64,iVBOR"},
	} {
		t.Run(name, func(t *testing.T) {
			var recoveries atomic.Int64
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				if res := r.get("/api/sessions/" + id + "/qr"); res.StatusCode != 200 || !strings.HasPrefix(res.text("data.qrCode"), c.prefix) {
					r.Errorf("%.200s", res.body)
				}
				for range 45 {
					time.Sleep(time.Second)
					r.get("/api/sessions/" + id + "/qr?wait=0")
				}
				if n := recoveries.Load(); n != 1 {
					r.Errorf("%d connects and restarts", n)
				}
			}, answering(text(200, "application/json", "", c.body), &recoveries))
		})
	}
}

// What is no QR of this session is not returned as one, and the cause names no other
// party: for 20 s clients get 202 or 503 with the cause, never 409, 401 or a QR.
func TestQR_OtherAnswersAreNamed(t *testing.T) {
	page := func(title string) string { return "<html><head><title>" + title + "</title></head></html>" }
	for name, c := range map[string]struct {
		qr       http.HandlerFunc
		cause    string
		evidence string
	}{
		"A1, a word":              {text(200, "application/json", "", `{"success":true,"data":{"qrCode":"undefined"}}`), "qr_invalid", `the word \"undefined\"`},
		"A1, an id":               {text(200, "application/json", "", `{"success":true,"data":{"qrCode":"1234@s.whatsapp.net"}}`), "qr_invalid", "no WhatsApp code"},
		"A2, an address":          {text(200, "application/json", "", `{"success":true,"data":{"qrCode":"http://engine:3001/statics/qr.png"}}`), "qr_invalid", "an address"},
		"A6, another session":     {text(200, "application/json", "", `{"success":true,"data":{"id":99999,"qrCode":"`+tinyQR+`"}}`), "engine_bad_response", "another session"},
		"B1, one of two":          {text(409, "application/json", "", `{"success":false,"error":"QR Code not available or already connected."}`), "qr_not_emitted", ""},
		"B1, the opposite":        {text(500, "application/json", "", `{"error":"Session not already connected"}`), "qr_not_emitted", ""},
		"B1, the state denies it": {text(400, "application/json", "", `{"error":"Session already connected"}`), "qr_not_emitted", ""},
		"B3, a CDN":               {text(403, "text/html", "cloudflare", page("Just a moment...")), "engine_bad_response", "Server: cloudflare"},
		"B3, one route limited":   {text(503, "text/html", "nginx", page("503 Service Temporarily Unavailable")), "rate_limited", "Server: nginx"},
	} {
		t.Run(name, func(t *testing.T) {
			var recoveries atomic.Int64
			bubble(t, &enginesim.Engine{QRDelay: time.Hour}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				var last response
				for range 20 {
					time.Sleep(time.Second)
					last = r.get("/api/sessions/" + id + "/qr?wait=0")
					if last.StatusCode != 202 && last.StatusCode != 503 {
						r.Fatalf("%d %s", last.StatusCode, last.body)
					}
				}
				status := r.get("/api/sessions/" + id + "/qr/status")
				if got := status.text("data.diagnosis.code"); got != c.cause || !strings.Contains(status.body, c.evidence) {
					r.Errorf("%q, want %q with %q: %s", got, c.cause, c.evidence, status.body)
				}
			}, answering(c.qr, &recoveries))
		})
	}
}
