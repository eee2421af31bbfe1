package gowa_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"qrgate/compat/gowa"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/enginetest"
)

func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestDialect_Conformance(t *testing.T) { enginetest.Dialect(t, gowa.Dialect, enginesim.GOWA) }

func TestNative_Conformance(t *testing.T) {
	enginetest.Native(t, gowa.Dialect, enginesim.GOWA, client(func(name string) *http.Request {
		return request("GET", "/devices/"+name+"/login", "")
	}))
}

// client is a client that asks for the code in one of the two ways.
func client(qr func(name string) *http.Request) enginetest.NativeClient {
	return enginetest.NativeClient{
		Create: func(name string) *http.Request {
			return request("POST", "/devices", fmt.Sprintf(`{"device_id":%q}`, name))
		},
		QR:     qr,
		Delete: func(name string) *http.Request { return request("DELETE", "/devices/"+name, "") },
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
			request("GET", "/devices", ""), request("GET", "/devices/shop-1", ""), request("GET", "/devices/none", ""),
			request("POST", "/send/message", `{"phone":"1","message":"a"}`),
		},
		Authorize: func(r *http.Request, key string) { r.SetBasicAuth("user", key) },
	}
}

// A request that names no device means the only one: its clients share one login, and get its code.
func TestNative_OnlyDevice(t *testing.T) {
	c := client(func(string) *http.Request { return request("GET", "/app/login", "") })
	c.ExtraCalls = 1
	enginetest.Native(t, gowa.Dialect, enginesim.GOWA, c)
}
