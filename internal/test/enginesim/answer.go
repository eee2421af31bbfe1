package enginesim

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// answer is a whole response in memory.
type answer struct {
	status      int
	contentType string
	body        []byte
}

const jsonType = "application/json; charset=utf-8"

// iso writes t as the engine does: ISO 8601 in UTC with three decimals.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func success(status int, message string, data any) answer {
	body := object{{"success", true}}
	if message != "" {
		body = append(body, member{"message", message})
	}
	return answer{status, jsonType, encode(append(body, member{"data", data}))}
}

// failure is the recorded error body: four members in this order and nothing else (5.1).
func (e *Engine) failure(status int, code, message string) answer {
	return answer{status, jsonType, encode(object{
		{"success", false}, {"error", message}, {"code", code}, {"timestamp", iso(e.now())},
	})}
}

// html is what the proxy in front of the engine says when the engine does not (quirk 14).
func html(status int) answer {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	page := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>nginx/1.24.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"
	return answer{status, "text/html", []byte(page)}
}

// head sets the answer's own headers.
func (a answer) head(h http.Header) {
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
func (a answer) etag() string {
	sum := sha1.Sum(a.body)
	return fmt.Sprintf(`W/"%x-%s"`, len(a.body), base64.StdEncoding.EncodeToString(sum[:])[:27])
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	a.head(w.Header())
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
