package enginesim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// Echo is the response of the routes that a gateway passes through: the request as it arrived. The request header
// X-Sim-Status sets the status of the response, so that a test can pass errors through too.
type Echo struct {
	Success bool        `json:"success"`
	Method  string      `json:"method"`
	Path    string      `json:"path"`  // as it was sent, still escaped
	Query   string      `json:"query"` // raw
	Host    string      `json:"host"`
	Header  http.Header `json:"headers"`
	Length  int64       `json:"length"` // of the body, in bytes
	SHA256  string      `json:"sha256"` // of the body, in hex
	Chunked bool        `json:"chunked"`
}

// echo reads a body of any length in constant memory. An upload gets 201.
func (e *Engine) echo(r *http.Request, req request) response {
	sum := sha256.New()
	length, err := copyBody(sum, r.Body)
	status := http.StatusOK
	if req.route == RouteUpload {
		status = http.StatusCreated
	}
	if n, convErr := strconv.Atoi(r.Header.Get("X-Sim-Status")); convErr == nil && n >= 200 && n <= 599 {
		status = n
	}
	if err != nil {
		status = http.StatusBadRequest
	}
	body, _ := json.Marshal(Echo{ // strings and numbers cannot fail
		Success: status < http.StatusBadRequest, Method: r.Method, Path: rawPath(r), Query: r.URL.RawQuery,
		Host: r.Host, Header: r.Header, Length: length, SHA256: hex.EncodeToString(sum.Sum(nil)),
		Chunked: r.ContentLength < 0,
	})
	return response{status, jsonType, body}
}

// copyBody copies without ReaderFrom and WriterTo, with which a source could choose a bigger buffer.
func copyBody(to hash.Hash, from io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32<<10))
}

// echoSocket returns every websocket message, until either side or the engine closes.
func (e *Engine) echoSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has responded
	}
	closed := make(chan struct{})
	defer close(closed)
	go func() { // the read below does not notice that the engine closes
		select {
		case <-e.done():
			_ = conn.Close(websocket.StatusGoingAway, "the engine stops")
		case <-closed:
		}
	}()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			_ = conn.CloseNow()
			return
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			_ = conn.CloseNow()
			return
		}
	}
}

const defaultDownload = 1 << 20

// download sends ?bytes=N bytes, 1 MiB by default, in constant memory. Ranges work. A truncated download ends after
// half of its Content-Length.
func download(w http.ResponseWriter, r *http.Request, truncated bool) {
	size, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil || size < 0 {
		size = defaultDownload
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if truncated {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		_, _ = io.CopyN(w, &pattern{size: size}, size/2)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, &pattern{size: size})
}

// DownloadByte is the byte at an offset of every download.
func DownloadByte(offset int64) byte { return byte(offset % 251) } // a prime: no block repeats at a power of two

// pattern is a reader over the bytes of a download.
type pattern struct{ at, size int64 }

// Read implements [io.Reader].
func (p *pattern) Read(b []byte) (int, error) {
	if p.at >= p.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.size-p.at))
	for i := range n {
		b[i] = DownloadByte(p.at + int64(i))
	}
	p.at += int64(n)
	return n, nil
}

// Seek implements [io.Seeker].
func (p *pattern) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.at
	case io.SeekEnd:
		offset += p.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the first byte")
	}
	p.at = offset
	return offset, nil
}
