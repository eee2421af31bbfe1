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
	"time"

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

// automagik-omni#127: the state stays "close" although the connect has returned a code.
func TestQR_StateThatIsOlderThanTheCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		states    []string // what the engine reports after the connect, one after another
		reason    bool     // the list names a reason of a disconnect since the connect
		isWithout bool     // the session has no code in the end
	}{
		"never another state":         {states: []string{"close", "close"}},
		"connecting":                  {states: []string{"connecting", "connecting"}},
		"closed since":                {states: []string{"connecting", "close"}, isWithout: true},
		"closed since, with a reason": {states: []string{"close", "close"}, reason: true, isWithout: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, code := "close", "2@ref,noise,identity,adv,1"
			engine := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch path := strings.TrimSuffix(r.URL.Path, "/shop-1"); {
				case path == "/instance/connectionState":
					_, _ = fmt.Fprintf(w, `{"instance":{"instanceName":"shop-1","state":%q}}`, state)
				case path == "/instance/connect" && code != "":
					_, _ = fmt.Fprintf(w, `{"code":%q,"count":1}`, code)
				case path == "/instance/fetchInstances" && c.reason:
					_, _ = fmt.Fprintf(w, `[{"name":"shop-1","connectionStatus":"close","disconnectionReasonCode":401,"disconnectionObject":"x","disconnectionAt":%q}]`,
						time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano))
				case path == "/instance/fetchInstances":
					_, _ = io.WriteString(w, `[{"name":"shop-1","connectionStatus":"close"}]`)
				default:
					_, _ = io.WriteString(w, `{"count":0}`)
				}
			})
			server := httptest.NewServer(engine)
			defer server.Close()
			base, _ := url.Parse(server.URL)
			transport := dialect.NewTransport(evolution.Dialect, base, http.DefaultTransport)
			call := func(method, path string) string {
				request := httptest.NewRequestWithContext(t.Context(), method, "/api/sessions/shop-1"+path, strings.NewReader("{}"))
				res, err := transport.RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				body, _ := io.ReadAll(res.Body)
				return string(body)
			}
			call(http.MethodPost, "/connect")
			body := ""
			for i := range c.states {
				state = c.states[i]
				if state == "close" {
					code = ""
				}
				body = call(http.MethodGet, "/qr")
			}
			isWithout := strings.Contains(body, `"qrCode":null`)
			if isWithout != c.isWithout || !isWithout && !strings.Contains(body, `"status":"qr_code"`) {
				t.Errorf("%.120s", body)
			}
			if status := call(http.MethodGet, "/status"); strings.Contains(status, `"hasQR":true`) == c.isWithout {
				t.Errorf("%s", status)
			}
		})
	}
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
