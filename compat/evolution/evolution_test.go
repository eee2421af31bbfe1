package evolution_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"qrgate/compat/dialect"
	"qrgate/compat/evolution"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/enginetest"
)

func TestDialect_Conformance(t *testing.T) {
	enginetest.Dialect(t, evolution.Dialect, enginesim.Evolution)
}

func TestNative_Conformance(t *testing.T) {
	enginetest.Native(t, evolution.Dialect, enginesim.Evolution, client())
}

func client() enginetest.NativeClient {
	create := func(qr bool) func(string) *http.Request {
		return func(name string) *http.Request {
			return enginetest.Request("POST", "/instance/create",
				fmt.Sprintf(`{"instanceName":%q,"integration":"WHATSAPP-BAILEYS","qrcode":%t}`, name, qr))
		}
	}
	return enginetest.NativeClient{
		Create:   create(false),
		CreateQR: create(true),
		QR: func(name string) *http.Request {
			return enginetest.Request("GET", "/instance/connect/"+url.PathEscape(name), "")
		},
		Restart: func(name string) *http.Request {
			return enginetest.Request("POST", "/instance/restart/"+url.PathEscape(name), "")
		},
		Delete: func(name string) *http.Request {
			return enginetest.Request("DELETE", "/instance/delete/"+url.PathEscape(name), "")
		},
		Code: func(_ http.Header, body []byte) string {
			var qr struct {
				Code   string
				QRCode struct{ Code string }
			}
			_ = json.Unmarshal(body, &qr)
			return qr.Code + qr.QRCode.Code
		},
		Others: []*http.Request{
			enginetest.Request("GET", "/", ""), enginetest.Request("GET", "/instance/connectionState/shop-1", ""),
			enginetest.Request("GET", "/instance/fetchInstances?instanceName=shop-1", ""), enginetest.Request("GET", "/instance/connectionState/none", ""),
			enginetest.Request("POST", "/message/sendText/shop-1", `{"number":"1","text":"a"}`), enginetest.Request("GET", "/chat/x?a=1&a=%20b", ""),
		},
		FreeNames: true,
		Authorize: func(r *http.Request, key string) { r.Header.Set("apikey", key) },
	}
}

// The reason of a disconnect is only in the list, as a number beside Baileys' error.
func TestRead_DisconnectReason(t *testing.T) {
	for object, want := range map[string]string{
		`{"error":{"isBoom":true,"output":{"statusCode":405,"payload":{"message":"Method Not Allowed"}}}}`: "405 Method Not Allowed",
		`not JSON`: "401 connection failure",
	} {
		code := strings.Fields(want)[0]
		var row any
		d := json.NewDecoder(strings.NewReader(fmt.Sprintf(
			`[{"name":"a","connectionStatus":"close","disconnectionReasonCode":%s,"disconnectionObject":%q,"disconnectionAt":"2026-01-02T03:04:05.000Z"}]`,
			code, object)))
		d.UseNumber()
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		if got := evolution.Dialect.Read(dialect.List, row)[0]; got.Reason != want || got.ReasonAt.IsZero() {
			t.Errorf("%q, want %q", got.Reason, want)
		}
	}
}

// Version 2.4 has more members, and the message of an error is a text.
func TestDialect_Upgrade(t *testing.T) {
	enginetest.Upgrade(t, evolution.Dialect, enginesim.Evolution, client(), func(_ *http.Request, status int, body []byte) (int, []byte) {
		newer := strings.NewReplacer(`"message":["`, `"message":"`, `"]}}`, `"}}`, `{"instance":{`, `{"instance":{"integration":"WHATSAPP-BAILEYS",`)
		return status, []byte(newer.Replace(string(body)))
	})
}

// Before 2.3 an instance that is connected is not deleted until it is logged out.
func TestDelete_ConnectedInstance(t *testing.T) {
	if status := deleteConnected(t, true); status != http.StatusOK {
		t.Errorf("%d", status)
	}
}

// evolution-api#1113: the logout succeeds and has no effect. The engine's refusal is the response.
func TestDelete_InstanceThatStaysConnected(t *testing.T) {
	if status := deleteConnected(t, false); status != http.StatusBadRequest {
		t.Errorf("%d", status)
	}
}

func deleteConnected(t *testing.T, logsOut bool) int {
	t.Helper()
	isOpen := true
	engine := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimSuffix(r.URL.Path, "/shop-1"); {
		case path == "/instance/logout":
			isOpen = !logsOut
		case path == "/instance/delete" && isOpen:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"status":400,"error":"Bad Request","response":{"message":["The \"shop-1\" instance needs to be disconnected"]}}`)
			return
		}
		_, _ = io.WriteString(w, `{"status":"SUCCESS","error":false,"response":{"message":"done"}}`)
	})
	server := httptest.NewServer(engine)
	defer server.Close()
	base, _ := url.Parse(server.URL)
	transport := dialect.NewTransport(evolution.Dialect, base, http.DefaultTransport)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/api/sessions/shop-1", nil)
	res, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}
