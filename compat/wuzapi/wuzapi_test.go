package wuzapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

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
	enginetest.Native(t, wuzapi.Dialect, enginesim.Wuzapi, enginetest.NativeClient{
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
	})
}

// The version of 2025 writes its members with capital letters.
func TestDialect_Upgrade(t *testing.T) {
	older := strings.NewReplacer(`"connected"`, `"Connected"`, `"loggedIn"`, `"LoggedIn"`)
	enginetest.Upgrade(t, wuzapi.Dialect, enginesim.Wuzapi, func(_ *http.Request, status int, body []byte) (int, []byte) {
		return status, []byte(older.Replace(string(body)))
	})
}
