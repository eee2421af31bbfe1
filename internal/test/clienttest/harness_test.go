package clienttest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test body against a handler, in fake time.
func bubble(t *testing.T, h http.Handler, body func(*testing.T, clienttest.Target)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(h)
		served := make(chan error)
		go func() { served <- wire.Run() }()
		body(t, clienttest.Target{HTTP: wire.Client(), Base: wire.URL(), Key: "key-a"})
		if e, ok := h.(*enginesim.Engine); ok {
			e.Close()
		}
		wire.Close()
		if err := <-served; err != nil {
			t.Errorf("the wire ended with %v", err)
		}
	})
}

// run replays one client against an engine, for at most an hour.
func run(t *testing.T, c clienttest.Client, h http.Handler) clienttest.Result {
	t.Helper()
	var r clienttest.Result
	bubble(t, h, func(t *testing.T, at clienttest.Target) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r = c(ctx, at)
	})
	return r
}

// times lists when requests whose path ends so were sent, in whole seconds.
func times(r clienttest.Result, suffix string) []int {
	var seconds []int
	for _, s := range r.Steps {
		if strings.HasSuffix(s.Path, suffix) {
			seconds = append(seconds, int(s.At.Round(time.Second)/time.Second))
		}
	}
	return seconds
}

// replaceRoute is a working engine with another handler for one route.
func replaceRoute(engine *enginesim.Engine, suffix string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			h(w, r)
			return
		}
		engine.ServeHTTP(w, r)
	})
}

func say(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}
