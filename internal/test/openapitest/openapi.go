// Package openapitest checks responses against api/openapi.yaml: Checking wraps a transport, and the document must
// allow every response that passes through it.
package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Path is where the document is, from the repository's root.
const Path = "api/openapi.yaml"

// Checking returns a transport that sends requests with next and fails t for every response on a documented
// path that the document does not allow, because of its status, headers or body. It does not check streams, upgrades
// and undocumented paths. It is safe for concurrent use if next is.
func Checking(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	readHTML()
	doc, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatalf("%s: %v", Path, err)
	}
	return &checker{t, router, next}
}

// readHTML lets the validator read pages as texts.
var readHTML = sync.OnceFunc(func() {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.RegisteredBodyDecoder("text/plain"))
})

// Load reads and validates the document. It looks for it in the directories above the current one, so it
// works in every package's tests.
func Load() (*openapi3.T, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return nil, fmt.Errorf("no go.mod above the current directory, so %s cannot be found", Path)
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile(filepath.Join(dir, filepath.FromSlash(Path)))
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(loader.Context)
}

// checker is a transport that checks responses.
type checker struct {
	t      testing.TB
	router routers.Router
	next   http.RoundTripper
}

// RoundTrip sends one request and checks its response.
func (c *checker) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if err != nil || !checkable(r, res) {
		return res, err
	}
	route, vars, err := c.router.FindRoute(r)
	if errors.Is(err, routers.ErrMethodNotAllowed) {
		c.problem(r, res)
		return res, nil
	}
	if err != nil {
		return res, nil // not documented: it streams through qrgate
	}
	body, err := keep(res)
	if err != nil {
		return res, nil // truncated; the reader gets the error
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: vars, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	if err := openapi3filter.ValidateResponse(r.Context(), input); err != nil {
		c.fail(r, res, err, body)
	}
	return res, nil
}

// checkable reports whether a response has a body that ends.
func checkable(r *http.Request, res *http.Response) bool {
	return r.Method != http.MethodHead && r.Method != http.MethodOptions &&
		res.StatusCode != http.StatusSwitchingProtocols &&
		!strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")
}

// problem checks the response to a method that a documented path does not have.
func (c *checker) problem(r *http.Request, res *http.Response) {
	if res.StatusCode != http.StatusMethodNotAllowed {
		c.t.Errorf("%s %s is not documented and returned %d, want 405", r.Method, r.URL.Path, res.StatusCode)
	}
}

func (c *checker) fail(r *http.Request, res *http.Response, err error, body []byte) {
	const text = "%s %s returned %d, which %s does not allow: %v\n%s"
	c.t.Errorf(text, r.Method, r.URL.Path, res.StatusCode, Path, err, brief(body))
}

// brief shortens a body for a test's log, and a code in it, because a code is a credential.
func brief(body []byte) string {
	text := string(body)
	if before, _, found := strings.Cut(text, "data:image"); found {
		text = before + "data:image…"
	}
	return text[:min(len(text), 600)]
}

// keep reads the body and puts it back.
func keep(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
	}
	return body, err
}

// broken is the end of a truncated body.
type broken struct{ err error }

// Read returns the error.
func (b broken) Read([]byte) (int, error) { return 0, b.err }
