package gowa_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"qrgate/compat/gowa"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/enginetest"
)

func TestDialect_Conformance(t *testing.T) { enginetest.Dialect(t, gowa.Dialect, enginesim.GOWA) }

func TestNative_Conformance(t *testing.T) {
	enginetest.Native(t, gowa.Dialect, enginesim.GOWA, client(loginOf))
}

func loginOf(name string) *http.Request {
	return enginetest.Request("GET", "/devices/"+url.PathEscape(name)+"/login", "")
}

// client is a client that asks for the code in one of the two ways.
func client(qr func(name string) *http.Request) enginetest.NativeClient {
	return enginetest.NativeClient{
		Create: func(name string) *http.Request {
			return enginetest.Request("POST", "/devices", fmt.Sprintf(`{"device_id":%q}`, name))
		},
		QR: qr,
		Delete: func(name string) *http.Request {
			return enginetest.Request("DELETE", "/devices/"+url.PathEscape(name), "")
		},
		Code: func(_ http.Header, body []byte) string {
			var login struct {
				Results struct {
					Link string `json:"qr_link"`
				}
			}
			_ = json.Unmarshal(body, &login)
			return login.Results.Link
		},
		Others: []*http.Request{
			enginetest.Request("GET", "/devices", ""), enginetest.Request("GET", "/devices/shop-1", ""), enginetest.Request("GET", "/devices/none", ""),
			enginetest.Request("POST", "/send/message", `{"phone":"1","message":"a"}`),
		},
		FreeNames: true,
		Authorize: func(r *http.Request, key string) { r.SetBasicAuth("user", key) },
	}
}

// GOWA with a base path of its own: its links to pictures contain the path.
func TestNative_BasePath(t *testing.T) {
	c := client(loginOf)
	c.BasePath = "/gowa"
	enginetest.Native(t, gowa.Dialect, enginesim.GOWA, c)
}

// A request that names no device means the only one: its clients share one login, and get its code.
func TestNative_OnlyDevice(t *testing.T) {
	c := client(func(string) *http.Request { return enginetest.Request("GET", "/app/login", "") })
	enginetest.Native(t, gowa.Dialect, enginesim.GOWA, c)
}

// Another version has the status in its envelope too.
func TestDialect_Upgrade(t *testing.T) {
	enginetest.Upgrade(t, gowa.Dialect, enginesim.GOWA, client(loginOf), func(_ *http.Request, status int, body []byte) (int, []byte) {
		return status, bytes.Replace(body, []byte(`{"code"`), fmt.Appendf(nil, `{"status":%d,"code"`, status), 1)
	})
}
