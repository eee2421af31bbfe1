package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestNotify_TestReportsEachReceiver(t *testing.T) {
	var isBroken atomic.Bool
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if isBroken.Load() {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		hook.Close()
	})
	address := "QRGATE_NOTIFY_URLS=generic+" + hook.URL + "/a-secret-token"
	for _, x := range []struct {
		env      []string
		isBroken bool
		exit     int
		want     string
	}{
		{[]string{address}, false, exitOK, "✓ generic+http (1)"},
		{[]string{address}, true, exitFailed, "✗ generic+http (1): "},
		{nil, false, exitUsage, "QRGATE_NOTIFY_URLS is not set"},
		{[]string{"QRGATE_NOTIFY_URLS=nonsense://a-secret-token"}, false, exitUsage, "address 1 (nonsense) is invalid"},
	} {
		isBroken.Store(x.isBroken)
		code, out, errs := runCLI(t, x.env, "notify", "--test")
		if code != x.exit || !strings.Contains(out+errs, x.want) || strings.Contains(out+errs, "a-secret-token") {
			t.Errorf("%v: exit %d, %s%s", x.env, code, out, errs)
		}
	}
}
