package wuzapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"qrgate/compat/dialect"
	"qrgate/compat/wuzapi"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/enginetest"
)

func TestDialect_Conformance(t *testing.T) { enginetest.Dialect(t, wuzapi.Dialect, enginesim.Wuzapi) }

// ofSession is a request with the token of a session.
func ofSession(name string, r *http.Request) *http.Request {
	r.Header.Set("Token", "token of "+name)
	return r
}

func TestNative_Conformance(t *testing.T) {
	enginetest.Native(t, wuzapi.Dialect, enginesim.Wuzapi, client())
}

func client() enginetest.NativeClient {
	return enginetest.NativeClient{
		Create: func(name string) *http.Request {
			return enginetest.Request("POST", "/admin/users", fmt.Sprintf(`{"name":%q,"token":"token of %s"}`, name, name))
		},
		Begin: func(name string) *http.Request {
			return ofSession(name, enginetest.Request("POST", "/session/connect", `{"Subscribe":["All"],"Immediate":true}`))
		},
		QR:     func(name string) *http.Request { return ofSession(name, enginetest.Request("GET", "/session/qr", "")) },
		Delete: func(string) *http.Request { return enginetest.Request("DELETE", "/admin/users/1", "") },
		Code: func(_ http.Header, body []byte) string {
			var qr struct{ Data struct{ QRCode string } }
			_ = json.Unmarshal(body, &qr)
			return qr.Data.QRCode
		},
		Others: []*http.Request{
			enginetest.Request("GET", "/health", ""), enginetest.Request("GET", "/admin/users", ""), ofSession("shop-1", enginetest.Request("GET", "/session/status", "")),
			ofSession("none", enginetest.Request("GET", "/session/status", "")), ofSession("shop-1", enginetest.Request("POST", "/chat/send/text", `{"Phone":"1","Body":"a"}`)),
		},
		Authorize: func(r *http.Request, key string) {
			switch {
			case strings.HasPrefix(r.URL.Path, "/admin/"):
				r.Header.Set("Authorization", key)
			case key == "wrong":
				r.Header.Set("Token", key)
			case strings.HasPrefix(r.URL.Path, "/_qrgate/"):
				r.Header.Set("Token", "token of shop-1")
			}
		},
	}
}

// The version of 2025 writes its members with capital letters.
func TestDialect_Upgrade(t *testing.T) {
	older := strings.NewReplacer(`"connected"`, `"Connected"`, `"loggedIn"`, `"LoggedIn"`)
	enginetest.Upgrade(t, wuzapi.Dialect, enginesim.Wuzapi, client(), func(_ *http.Request, status int, body []byte) (int, []byte) {
		return status, []byte(older.Replace(string(body)))
	})
}

// A version without /full deletes at the older path. Another user's session of the same name is neither doubled nor
// deleted in place of qrgate's own.
func TestDelete_OlderVersionAndSharedName(t *testing.T) {
	sim := &enginesim.Engine{Keys: map[string]string{"key-a": "a"}}
	defer sim.Close()
	face := enginesim.Wuzapi(sim)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/full") {
			http.NotFound(w, r)
			return
		}
		face.ServeHTTP(w, r)
	}))
	defer server.Close()
	base, _ := url.Parse(server.URL)
	transport := dialect.NewTransport(wuzapi.Dialect, base, http.DefaultTransport)
	send := func(method, path, body string) int {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("X-Api-Key", "key-a")
		res, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	addUser := func(name, token string) {
		t.Helper()
		body := strings.NewReader(fmt.Sprintf(`{"name":%q,"token":%q}`, name, token))
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/admin/users", body)
		r.Header.Set("Authorization", "key-a")
		res, err := http.DefaultClient.Do(r)
		if err != nil || res.StatusCode != http.StatusCreated {
			t.Fatal(res, err)
		}
		_ = res.Body.Close()
	}
	addUser("shop-1", "another token")
	if status := send(http.MethodPost, "/api/sessions", `{"sessionId":"shop-1"}`); status != http.StatusConflict {
		t.Errorf("a create with a name that a session has: %d", status)
	}
	if status := send(http.MethodPost, "/api/sessions", `{"sessionId":"shop-2"}`); status != http.StatusCreated {
		t.Errorf("create: %d", status)
	}
	addUser("shop-2", "a third token")
	if status := send(http.MethodDelete, "/api/sessions/shop-2", ""); status != http.StatusOK || len(sim.Snapshot()) != 2 {
		t.Errorf("delete: %d, %d sessions are left", status, len(sim.Snapshot()))
	}
	if status := send(http.MethodGet, "/api/sessions/shop-1/status", ""); status != http.StatusOK {
		t.Errorf("the state of another user's session: %d", status)
	}
}
