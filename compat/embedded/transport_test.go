package embedded_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat/embedded"
)

// exchange is a request as the handler sees it, and the response as the client sees it.
type exchange struct {
	Status, ContentType, Length, Late, Body string
	Host, URI, Sent                         string
}

func TestTransport_BehavesLikeAConnection(t *testing.T) {
	t.Parallel()
	var got exchange
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got.Host, got.URI, got.Sent = r.Host, r.RequestURI, string(b)
		if r.URL.Path == "/empty" {
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("Late", "too late")
		_, _ = io.WriteString(w, "hello ")
		_, _ = io.WriteString(w, "<b>world</b>")
	})
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	for _, try := range [][2]string{{"POST", "/a%20b/c?d=e&f"}, {"HEAD", "/x"}, {"GET", "/empty"}} {
		play := func(c *http.Client) exchange {
			req, _ := http.NewRequest(try[0], srv.URL+try[1], strings.NewReader("ping"))
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			if _, err := http.ParseTime(res.Header.Get("Date")); err != nil {
				t.Errorf("no date: %v", err)
			}
			got.Status, got.ContentType, got.Body = res.Status, res.Header.Get("Content-Type"), string(b)
			got.Length, got.Late = res.Header.Get("Content-Length"), res.Header.Get("Late")
			return got
		}
		want := play(srv.Client())
		if try[0] == "HEAD" {
			want.Length = "18" // a streaming server sends no Content-Length
		}
		if diff := cmp.Diff(want, play(&http.Client{Transport: embedded.Transport(h)})); diff != "" {
			t.Errorf("%v (-connection +transport)\n%s", try, diff)
		}
	}
}

func TestTransport_EndsWithContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", "http://engine/", nil)
	_, err := embedded.Transport(h).RoundTrip(req)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := embedded.Transport(h).RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that has already ended: %v", err)
	}
	close(release)
}

func TestTransport_PanicIsAnError(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") })
	req, _ := http.NewRequest("GET", "http://engine/", nil)
	if res, err := embedded.Transport(h).RoundTrip(req); err == nil {
		t.Errorf("response %v", res.Status)
	}
}
