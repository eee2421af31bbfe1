package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"qrgate/compat"
)

// Engines number their sessions from 1, so the integers of two engines are the same. Clients see them with the number
// of a block in the upper bits: every integer belongs to one engine, and fits into 31 bits, as columns of clients need.
const (
	blockBits = 24
	blocks    = 1 << (31 - blockBits)
)

// FirstName is the name of the engine whose integers stay as they are: the one that a gateway had before it got more.
const FirstName = "default"

// Block is the block of an engine's integers. It depends on the name alone, because clients store integers.
func Block(name string) int64 {
	if name == FirstName {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return 1 + int64(h.Sum32())%(blocks-1)
}

// maxNumbered bounds a response that is read, in bytes.
const maxNumbered = 4 << 20

// numbering is a transport that translates an engine's integers to a block and back.
type numbering struct {
	next http.RoundTripper
	base string // path that precedes every path of the engine
	from int64  // the number before the block's first
}

// NumberIDs translates the integers of the engine at base, whose API is the documented one, to the block of its name.
func NumberIDs(next http.RoundTripper, base *url.URL, name string) http.RoundTripper {
	from := Block(name) << blockBits
	if from == 0 {
		return next
	}
	return numbering{next, strings.TrimSuffix(base.Path, "/"), from}
}

// RoundTrip implements [http.RoundTripper].
func (n numbering) RoundTrip(r *http.Request) (*http.Response, error) {
	path := strings.TrimPrefix(r.URL.Path, n.base)
	rest, isSession := strings.CutPrefix(path, compat.SessionsPath)
	if !isSession || rest != "" && rest[0] != '/' {
		return n.next.RoundTrip(r)
	}
	if text, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		switch own := id - n.from; {
		case err != nil || id >= blocks<<blockBits: // a name
		case own > 0 && own < 1<<blockBits:
			r = withSegment(r, text, strconv.FormatInt(own, 10))
		default:
			return notFound(r), nil // an integer of another engine
		}
	}
	res, err := n.next.RoundTrip(r)
	if template, _, _ := compat.MatchRoute(path); err == nil && template != "" {
		return n.translate(res), nil
	}
	return res, err
}

// withSegment replaces the session's id in the URL.
func withSegment(r *http.Request, from, to string) *http.Request {
	out, u := r.Clone(r.Context()), *r.URL
	const before = compat.SessionsPath + "/"
	u.Path = strings.Replace(u.Path, before+from, before+to, 1)
	u.RawPath = strings.Replace(u.RawPath, before+from, before+to, 1)
	u.Opaque = strings.Replace(u.Opaque, before+from, before+to, 1)
	out.URL = &u
	return out
}

// notFound is the response for a session that another engine has.
func notFound(r *http.Request) *http.Response {
	if r.Body != nil {
		_ = r.Body.Close() // as every RoundTripper must
	}
	problem := compat.NewProblem(compat.CodeSessionNotFound, "The engine has no session with this id.", time.Now()).JSON()
	return &http.Response{
		Status: "404 Not Found", StatusCode: http.StatusNotFound, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {compat.ContentType}},
		ContentLength: int64(len(problem)), Body: io.NopCloser(bytes.NewReader(problem)), Request: r,
	}
}

// translate replaces the integers in a response. What is no complete JSON object stays as it is.
func (n numbering) translate(res *http.Response) *http.Response {
	if !strings.Contains(res.Header.Get("Content-Type"), "json") {
		return res
	}
	packed := res.Body
	text, err := io.ReadAll(io.LimitReader(packed, maxNumbered+1))
	unpacked := &http.Response{Header: res.Header, Body: io.NopCloser(bytes.NewReader(text))}
	plain, isComplete, plainErr := compat.ReadBody(unpacked, maxNumbered)
	body, parseErr := compat.Parse(plain)
	if err != nil || plainErr != nil || !isComplete || parseErr != nil {
		res.Body = readCloser{io.MultiReader(bytes.NewReader(text), &failedReader{packed, err}), packed}
		return res
	}
	_ = packed.Close()
	for _, o := range numbered(body) {
		if id := compat.Int(o["id"]); id > 0 && id < 1<<blockBits {
			o["id"] = json.Number(strconv.FormatInt(id+n.from, 10))
		}
	}
	text, _ = json.Marshal(body) // was decoded from JSON
	res.Header.Del("Content-Encoding")
	res.Header.Set("Content-Length", fmt.Sprint(len(text)))
	res.ContentLength, res.Body = int64(len(text)), io.NopCloser(bytes.NewReader(text))
	return res
}

// numbered are the objects of a body that may be sessions.
func numbered(body compat.Object) []compat.Object {
	data := compat.Data(body)
	all := append([]compat.Object{data}, compat.SessionsOf(body)...)
	for _, name := range []string{"session", "instance"} {
		if o, ok := data[name].(compat.Object); ok {
			all = append(all, o)
		}
	}
	return slices.Clip(all)
}

// failedReader ends a body that could not be read as its reader did.
type failedReader struct {
	io.Reader
	err error
}

// Read implements [io.Reader].
func (f *failedReader) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Reader.Read(p)
}

type readCloser struct {
	io.Reader
	io.Closer
}
