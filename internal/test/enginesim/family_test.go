package enginesim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/enginesim"
)

func TestEcho_ReturnsRequest(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		const body = `{"to":"5550100","message":"hola"}`
		got := c.want(c.do("PUT", "/api/messages/one/a%40b/read?x=%20&y", body, "X-Sim-Status", "503", "X-Mark", "m"), 503)
		var echo enginesim.Echo
		if err := json.Unmarshal([]byte(got.text), &echo); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(body))
		if echo.Header.Get("X-Mark") != "m" {
			t.Errorf("headers: %v", echo.Header)
		}
		echo.Header = nil
		want := enginesim.Echo{
			Method: "PUT", Path: "/api/messages/one/a%40b/read", Query: "x=%20&y", Host: "wire.test",
			Length: int64(len(body)), SHA256: hex.EncodeToString(sum[:]),
		}
		if diff := cmp.Diff(want, echo); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAuthorize_CredentialPerRoute(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path, key, bearer string
		want              int
	}{
		{"/api/messages/unread", "", "", 401},
		{"/api/messages/unread", "key-a", "", 200},
		{"/api/templates/1", "key-a", "", 401},
		{"/api/templates/1", "", "Bearer token", 200},
		{"/api/webhooks/1", "", "", 401},
		{"/api/webhooks/test/connectivity", "", "", 200},
		{"/api/auth/login", "", "", 200},
		{"/health", "", "", 200},
		{"/", "", "", 200},
		{"/api/sessions", "", "Bearer token", 401},
		{"/api/nothing", "", "", 404},
	}
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		for _, test := range tests {
			c.key = test.key
			got := c.do("GET", test.path, "", "Authorization", test.bearer)
			if got.status != test.want || !json.Valid([]byte(got.text)) {
				t.Errorf("%s with %q and %q: %d %s", test.path, test.key, test.bearer, got.status, got.text)
			}
		}
	})
}

func TestUploadDownload_Stream(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	engine := &enginesim.Engine{}
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	t.Cleanup(engine.Close)
	response := get(t, server, "/api/media/9/download?bytes=20971520", "")
	content, err := io.ReadAll(response.Body)
	if err != nil || len(content) != size || content[size-1] != enginesim.DownloadByte(size-1) {
		t.Fatalf("%d bytes, error %v", len(content), err)
	}
	part := get(t, server, "/api/media/9/download?bytes=20971520", "bytes=1000-1999")
	if got, _ := io.ReadAll(part.Body); part.StatusCode != 206 || !bytes.Equal(got, content[1000:2000]) {
		t.Errorf("a range returns %d with %d bytes", part.StatusCode, len(got))
	}
	request, _ := http.NewRequest("POST", server.URL+"/api/media/sessions/one/upload", io.LimitReader(bytes.NewReader(content), size))
	request.Header.Set("X-API-Key", "key-a")
	uploaded, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = uploaded.Body.Close() }()
	var echo enginesim.Echo
	err = json.NewDecoder(uploaded.Body).Decode(&echo)
	sum := sha256.Sum256(content)
	if err != nil || uploaded.StatusCode != 201 || echo.Length != size || !echo.Chunked || echo.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("upload returns %d %+v, error %v", uploaded.StatusCode, echo, err)
	}
}

func get(t *testing.T, server *httptest.Server, path, byteRange string) *http.Response {
	t.Helper()
	request, _ := http.NewRequest("GET", server.URL+path, nil)
	request.Header.Set("X-API-Key", "key-a")
	if byteRange != "" {
		request.Header.Set("Range", byteRange)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestWebsocket_EchoesUntilEngineCloses(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		conn, _, err := websocket.Dial(c.t.Context(), c.url+"/ws/echo", &websocket.DialOptions{HTTPClient: c.client})
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{"uno", strings.Repeat("dos", 5000)} {
			if err := conn.Write(c.t.Context(), websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.Read(c.t.Context()); string(got) != message || err != nil {
				t.Errorf("echoed %.20q, error %v", got, err)
			}
		}
		closing := make(chan struct{})
		go func() { c.engine.Close(); close(closing) }()
		_, _, err = conn.Read(c.t.Context())
		if websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("the socket ended with %v", err)
		}
		<-closing
	})
}

func TestCORS(t *testing.T) {
	t.Parallel()
	bubble(t, &enginesim.Engine{}, func(c *testClient) {
		c.key = ""
		got := c.want(c.do("OPTIONS", "/api/sessions", "", "Origin", "https://crm.test",
			"Access-Control-Request-Headers", "x-api-key"), 204)
		want := map[string]string{
			"Access-Control-Allow-Origin":      "https://crm.test",
			"Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Headers":     "x-api-key",
			"Access-Control-Allow-Methods":     "GET,HEAD,PUT,PATCH,POST,DELETE",
			"X-Frame-Options":                  "SAMEORIGIN",
			"Server":                           "nginx/1.24.0 (Ubuntu)",
		}
		for name, value := range want {
			if got.header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, got.header.Get(name), value)
			}
		}
		if vary := strings.Join(got.header.Values("Vary"), ", "); vary != "Origin, Access-Control-Request-Headers" {
			t.Errorf("Vary is %q", vary)
		}
		c.engine.Change(func(e *enginesim.Engine) { e.Origins = []string{"https://other.test"} })
		got = c.do("OPTIONS", "/api/sessions", "", "Origin", "https://crm.test")
		if got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a strange origin may call")
		}
	})
}
