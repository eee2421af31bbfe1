package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestHealth_ReportsReadiness(t *testing.T) {
	var isStopping atomic.Bool
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || isStopping.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer gateway.Close()
	address := gateway.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, x := range map[string]struct {
		address    string
		isStopping bool
		exit       int
		want       string
	}{
		"ready":          {address, false, exitOK, "ready"},
		"all interfaces": {":" + port, false, exitOK, "ready"},
		"unspecified":    {"0.0.0.0:" + port, false, exitOK, "ready"},
		"stopping":       {address, true, exitFailed, "is not ready: 503"},
		"no gateway":     {closed.Listener.Addr().String(), false, exitFailed, "does not respond"},
		"off":            {"off", false, exitUsage, "QRGATE_ADMIN_LISTEN"},
	} {
		isStopping.Store(x.isStopping)
		code, out, errs := runCLI(t, []string{"QRGATE_ADMIN_LISTEN=" + x.address}, "health")
		if code != x.exit || !strings.Contains(out+errs, x.want) {
			t.Errorf("%s: exit %d, %s%s", name, code, out, errs)
		}
	}
}
