package dialect

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Sign tells an engine's API from others: what a GET of Path returns contains all Words and no Absent one, in lower
// case.
type Sign struct {
	Path          string
	Words, Absent []string
}

// detectTimeout bounds one request of Detect: Evolution looks up a version on the internet before it responds.
const detectTimeout = 10 * time.Second

// Detect finds the engine's dialect by what it responds to requests that change nothing; nil if it is none of them. The
// requests carry the caller's credential.
func Detect(
	ctx context.Context, dialects []*Dialect, engine *url.URL, next http.RoundTripper, c Credential,
) *Dialect {
	for _, d := range dialects {
		x := &exchange{Transport: NewTransport(d, engine, next), credential: c}
		if d.Sign.Path != "" && x.shows(ctx, d.Sign) {
			return d
		}
	}
	return nil
}

func (x *exchange) shows(ctx context.Context, s Sign) bool {
	ctx, cancel := context.WithTimeout(ctx, detectTimeout)
	defer cancel()
	r, err := x.newRequest(ctx, Call{Method: http.MethodGet, Path: s.Path}, List)
	if err != nil {
		return false
	}
	res, err := x.next.RoundTrip(r)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxBody))
	text := strings.ToLower(string(raw))
	for _, word := range s.Words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	for _, word := range s.Absent {
		if strings.Contains(text, word) {
			return false
		}
	}
	return true
}
