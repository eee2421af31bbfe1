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

// exchange is what a client and a handler see of each other.
type exchange struct {
	Status, ContentType, Length, Late, Body string
	Host, URI, Sent                         string
}

// A client cannot tell the transport from a connection.
func TestTransportIsLikeAConnection(t *testing.T) {
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
			want.Length = "18" // a server that streams does not say; one that knows does
		}
		if diff := cmp.Diff(want, play(&http.Client{Transport: embedded.Transport(h)})); diff != "" {
			t.Errorf("%v (-connection +transport)\n%s", try, diff)
		}
	}
}

func TestTransportHonoursTheContext(t *testing.T) {
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
		t.Errorf("with a context that has ended before: %v", err)
	}
	close(release)
}

func TestTransportOutlivesAPanic(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") })
	req, _ := http.NewRequest("GET", "http://engine/", nil)
	if res, err := embedded.Transport(h).RoundTrip(req); err == nil {
		t.Errorf("answered %v", res.Status)
	}
}
