package enginesim

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// response is a complete HTTP response.
type response struct {
	status      int
	contentType string
	body        []byte
}

const jsonType = "application/json; charset=utf-8"

// formatTime formats t as the engine does: ISO 8601 in UTC with three decimals.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func success(status int, message string, data any) response {
	body := object{{"success", true}}
	if message != "" {
		body = append(body, member{"message", message})
	}
	return response{status, jsonType, encode(append(body, member{"data", data}))}
}

// failure is the recorded error body: four members in this order and nothing else (5.1).
func (e *Engine) failure(status int, code, message string) response {
	return response{status, jsonType, encode(object{
		{"success", false}, {"error", message}, {"code", code}, {"timestamp", formatTime(e.now())},
	})}
}

// html is the error page of the proxy in front of the engine (quirk 14).
func html(status int) response {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	page := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>nginx/1.24.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"
	return response{status, "text/html", []byte(page)}
}

// setHeaders sets the headers that depend on the body.
func (a response) setHeaders(h http.Header) {
	if a.status == http.StatusNoContent {
		return
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.contentType == jsonType {
		h.Set("ETag", a.etag())
	}
}

// etag is Express's weak one: the length in hex and the first 27 characters of the SHA-1.
func (a response) etag() string {
	sum := sha1.Sum(a.body)
	return fmt.Sprintf(`W/"%x-%s"`, len(a.body), base64.StdEncoding.EncodeToString(sum[:])[:27])
}

func (a response) write(w http.ResponseWriter, r *http.Request) {
	a.setHeaders(w.Header())
	fresh := r.Header.Get("If-None-Match") == a.etag() && a.status < 300
	if fresh && r.Method == http.MethodGet {
		w.Header().Del("Content-Type")
		w.Header().Del("Content-Length")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead && a.status != http.StatusNoContent {
		_, _ = w.Write(a.body)
	}
}

// object is a JSON object that keeps the order of its members, because the recorded responses have an order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements [json.Marshaler].
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode writes JSON as JavaScript does: without escaping <, > and &.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return []byte("null") // only a value that Dates returns can fail
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// setHeaders sets the headers that were recorded on every response (5.2): Server, the set of helmet, and CORS.
func (e *Engine) setHeaders(h http.Header, origin string) {
	h.Set("Server", "nginx/1.24.0 (Ubuntu)")
	h.Set("Date", e.now().UTC().Format(http.TimeFormat))
	for _, line := range [][2]string{
		{"Content-Security-Policy", "default-src 'self';base-uri 'self';frame-ancestors 'self';object-src 'none'"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Origin-Agent-Cluster", "?1"},
		{"Referrer-Policy", "no-referrer"},
		{"Strict-Transport-Security", "max-age=15552000; includeSubDomains"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-DNS-Prefetch-Control", "off"},
		{"X-Download-Options", "noopen"},
		{"X-Frame-Options", "SAMEORIGIN"},
		{"X-Permitted-Cross-Domain-Policies", "none"},
		{"X-XSS-Protection", "0"},
	} {
		h.Set(line[0], line[1])
	}
	h.Set("Vary", "Origin")
	h.Set("Access-Control-Allow-Credentials", "true")
	if origin != "" && (e.Origins == nil || slices.Contains(e.Origins, origin)) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// preflight responds to OPTIONS as Express's cors does, before the key is checked (5.3).
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
	if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Headers", wanted)
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
}
