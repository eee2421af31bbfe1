package deploytest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"qrgate/internal/app"
	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/program"
)

// The nginx configuration of the README passes websockets, event streams, encoded paths, the client's address and
// its own, in both languages.
func TestReadmeNginx_PassesWhatClientsSend(t *testing.T) {
	t.Parallel()
	for _, readme := range []string{"README.md", "README.es.md"} {
		t.Run(readme, func(t *testing.T) {
			t.Parallel()
			front := startNginx(t, readme, startGateway(t))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()

			socket, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(front, "http")+"/socket", nil)
			if err != nil {
				t.Fatalf("the websocket was not upgraded: %v, %v", err, res)
			}
			defer socket.CloseNow()
			if err := socket.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, text, err := socket.Read(ctx); err != nil || string(text) != "hello" {
				t.Errorf("the engine returned %q, %v", text, err)
			}

			if got := get(ctx, t, front+"/echo/a%40b%2Fc?x=%2B", ""); !strings.HasPrefix(got, "/echo/a%40b%2Fc?x=%2B 127.0.0.1") {
				t.Errorf("the engine received %q", got)
			}
			get(ctx, t, front+"/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`)
			if got := firstEvent(ctx, t, front+"/api/sessions/shop-1/qr/status"); !strings.Contains(got, `"sessionId":"shop-1"`) {
				t.Errorf("the first event is %q", got)
			}
			link := get(ctx, t, front+"/api/sessions/shop-1/qr/link", "{}")
			if !strings.Contains(link, `"url":"`+front+"/pair/") {
				t.Errorf("the link to the pairing page is not at nginx: %s", link)
			}
		})
	}
}

// startGateway runs qrgate in front of a simulated engine that also has a websocket and an echo of its requests.
func startGateway(t *testing.T) string {
	t.Helper()
	engine := &enginesim.Engine{}
	mux := http.NewServeMux()
	mux.Handle("/", engine)
	mux.HandleFunc("/echo/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.RequestURI, " ", r.Header.Get("X-Forwarded-For"))
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer socket.CloseNow()
		for {
			kind, text, err := socket.Read(r.Context())
			if err != nil || socket.Write(r.Context(), kind, text) != nil {
				return
			}
		}
	})
	behind := httptest.NewServer(mux)
	base, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := app.New(app.Config{
		Listen: "127.0.0.1:0", EngineURL: base, Logger: slog.New(slog.DiscardHandler), Out: io.Discard,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gateway.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		behind.CloseClientConnections()
		behind.Close()
		engine.Close()
	})
	return gateway.URL()
}

// startNginx runs nginx with the configuration of a README in front of a gateway, and returns its address.
func startNginx(t *testing.T, readme, gateway string) string {
	t.Helper()
	binary := program.Find(t, "nginx", "nginx")
	text, err := os.ReadFile(filepath.Join(root, readme))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```nginx\n")
	block, _, ok := strings.Cut(block, "```\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil || !ok {
		t.Fatal(err, ok)
	}
	address := l.Addr().String()
	_ = l.Close()
	block = strings.NewReplacer("listen 80;", "listen "+address+";", "http://127.0.0.1:8080", gateway).Replace(block)
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	paths := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	err = os.WriteFile(config, fmt.Appendf(nil, "daemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr;\n"+
		"events {}\nhttp {\naccess_log off;\n%s%s}\n", dir, paths, block), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-c", config, "-p", dir)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for range 200 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return "http://" + address
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("nginx does not listen")
	return ""
}

// get sends a request, a POST if it has a body, and returns the body of the response.
func get(ctx context.Context, t *testing.T, address, body string) string {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	res := send(ctx, t, method, address, body, "*/*")
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Errorf("%s %s returned %d %s, %v", method, address, res.StatusCode, text, err)
	}
	return string(text)
}

// firstEvent returns the data of the first event of a stream.
func firstEvent(ctx context.Context, t *testing.T, address string) string {
	t.Helper()
	res := send(ctx, t, http.MethodGet, address, "", "text/event-stream")
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			return data
		}
	}
	t.Errorf("%s ended without an event: %v", address, lines.Err())
	return ""
}

func send(ctx context.Context, t *testing.T, method, address, body, accept string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "key-a")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", accept)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
