package enginesim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"net/http"
	"strconv"

	"github.com/coder/websocket"
)

// Echo is what the families that a gateway passes through answer: the request as it arrived. The request header
// X-Sim-Status sets the answer's status, so that errors can be passed through too.
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

// echo reads a body of any length in constant memory. An upload answers 201.
func (e *Engine) echo(r *http.Request, v request) answer {
	sum := sha256.New()
	length, err := drain(sum, r.Body)
	status := http.StatusOK
	if v.route == RouteUpload {
		status = http.StatusCreated
	}
	if n, convErr := strconv.Atoi(r.Header.Get("X-Sim-Status")); convErr == nil && n >= 200 && n <= 599 {
		status = n
	}
	if err != nil {
		status = http.StatusBadRequest
	}
	body, _ := json.Marshal(Echo{ // texts and numbers cannot fail
		Success: status < http.StatusBadRequest, Method: r.Method, Path: rawPath(r), Query: r.URL.RawQuery,
		Host: r.Host, Header: r.Header, Length: length, SHA256: hex.EncodeToString(sum.Sum(nil)),
		Chunked: r.ContentLength < 0,
	})
	return answer{status, jsonType, body}
}

// drain copies without the shortcuts of io.Copy, which would let a source choose a bigger buffer.
func drain(to hash.Hash, from io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32<<10))
}

// echoSocket sends every websocket message back, until either side or the engine closes.
func (e *Engine) echoSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	closed := make(chan struct{})
	defer close(closed)
	go func() { // the read below does not know of the engine's end
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
