package waha_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"qrgate/compat/waha"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/enginetest"
)

func TestDialect_Conformance(t *testing.T) { enginetest.Dialect(t, waha.Dialect, enginesim.WAHA) }

// Two of the three forms in which clients ask for the QR; one of them at an engine whose reports do not arrive.
func TestNative_Conformance(t *testing.T) {
	t.Run("picture", func(t *testing.T) { enginetest.Native(t, waha.Dialect, enginesim.WAHA, client("picture")) })
	polled := client("JSON")
	polled.Polls = true
	t.Run("JSON, polled", func(t *testing.T) { enginetest.Native(t, waha.Dialect, enginesim.WAHA, polled) })
}

// The third form: the code's text.
func TestPush_Conformance(t *testing.T) {
	enginetest.Push(t, waha.Dialect, enginesim.WAHA, client("raw text"), enginesim.RouteWAHASocket)
}

// accepts are the forms of a QR and the headers that ask for them.
var accepts = map[string]string{"picture": "image/png", "JSON": "application/json", "raw text": "*/*"}

func client(form string) enginetest.NativeClient {
	return enginetest.NativeClient{
		CreateBegins: true,
		Create: func(name string) *http.Request {
			return enginetest.Request("POST", "/api/sessions", fmt.Sprintf(`{"name":%q,"start":true}`, name))
		},
		QR: func(name string) *http.Request {
			path := "/api/" + name + "/auth/qr"
			if form == "raw text" {
				path += "?format=raw"
			}
			r := enginetest.Request("GET", path, "")
			r.Header.Set("Accept", accepts[form])
			return r
		},
		Restart: func(name string) *http.Request {
			return enginetest.Request("POST", "/api/sessions/"+name+"/restart", "")
		},
		Delete: func(name string) *http.Request { return enginetest.Request("DELETE", "/api/sessions/"+name, "") },
		Code: func(header http.Header, body []byte) string {
			if header.Get("Content-Type") == "image/png" {
				return string(body)
			}
			var qr struct{ Value, Data string }
			_ = json.Unmarshal(body, &qr)
			return qr.Value + qr.Data
		},
		Others: []*http.Request{
			enginetest.Request("GET", "/ping", ""), enginetest.Request("GET", "/api/sessions", ""), enginetest.Request("GET", "/api/sessions/shop-1", ""),
			enginetest.Request("GET", "/api/sessions/none", ""), enginetest.Request("POST", "/api/sendText", `{"session":"shop-1","text":"a"}`),
		},
		Authorize: func(r *http.Request, key string) { r.Header.Set("X-Api-Key", key) },
	}
}

// The version of 2024 responds 404 for the QR of a session that it does not know.
func TestDialect_Upgrade(t *testing.T) {
	enginetest.Upgrade(t, waha.Dialect, enginesim.WAHA, client("JSON"), func(_ *http.Request, status int, body []byte) (int, []byte) {
		if bytes.Contains(body, []byte("does not exist")) {
			return http.StatusNotFound, []byte(`{"statusCode":404,"message":"Session not found","error":"Not Found"}`)
		}
		return status, body
	})
}
