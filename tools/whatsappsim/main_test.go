package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/types/events"
	"go.uber.org/goleak"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun_HelpAndUsageErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"help":                {args: []string{"--help"}, out: "Usage: whatsappsim"},
		"unknown flag":        {args: []string{"-port", "1"}, code: 2, err: "-port"},
		"an argument":         {args: []string{"serve"}, code: 2, err: `unexpected argument "serve"`},
		"not loopback":        {args: []string{"-listen", "0.0.0.0:0"}, code: 2, err: `"0.0.0.0" is not a loopback address`},
		"control to everyone": {args: []string{"-control", ":0"}, code: 2, err: `-control: "" is not a loopback address`},
		"no port":             {args: []string{"-listen", "127.0.0.1"}, code: 2, err: "missing port"},
		"a bad TTL":           {args: []string{"-ref-ttl", "60s,0s"}, code: 2, err: "0s is not a life time"},
		"a TTL in words":      {args: []string{"-ref-ttl", "long"}, code: 2, err: "invalid duration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			if code := run(t.Context(), tt.args, &out, &errOut); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.out) || !strings.Contains(errOut.String(), tt.err) {
				t.Errorf("stdout %q, stderr %q", out.String(), errOut.String())
			}
			if tt.code == 2 && !strings.HasSuffix(errOut.String(), usage) {
				t.Error("the usage is not shown")
			}
		})
	}
}

// The usage names every flag, every fault and every route.
func TestUsage_Complete(t *testing.T) {
	t.Parallel()
	fault, err := json.Marshal(whatsappsim.Fault{})
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(fault, &names); err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if !strings.Contains(usage, name) {
			t.Errorf("fault %s is not in the usage", name)
		}
	}
	for _, word := range []string{"-listen", "-control", "-ref-ttl", "-first-frame-delay",
		"/fault", "/queue", "/scan", "/unlink", "/cut", "/stats"} {
		if !strings.Contains(usage, word) {
			t.Errorf("%s is not in the usage", word)
		}
	}
}

// start runs the program until the test ends and returns what it announced.
func start(t *testing.T, args ...string) hello {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	var errOut bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, w, &errOut); w.Close() }()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d: %s", code, errOut.String())
		}
	})
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var h hello
	if err := json.Unmarshal(line, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// call makes a control request and returns status and body.
func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(b))
}

// A client pairs with the simulator of another process, by the announced addresses alone.
func TestControl_Pair(t *testing.T) {
	t.Parallel()
	h := start(t)
	if h.Root != whatsappsim.RootPublicHex || !strings.HasPrefix(h.CA, "-----BEGIN CERTIFICATE-----") {
		t.Errorf("announced root %q and certificate %q", h.Root, h.CA)
	}
	if !strings.HasPrefix(h.WSS, "wss://127.0.0.1:") {
		t.Errorf("announced %q", h.WSS)
	}
	addr, _, _ := strings.Cut(strings.TrimPrefix(h.URL, "ws://"), "/")
	cli := whatsappsimtest.Client(t, addr)
	connected := make(chan struct{}, 2) // and told that it has missed nothing, the last the server says
	cli.AddEventHandler(func(e any) {
		switch e.(type) {
		case *events.Connected, *events.OfflineSyncCompleted:
			connected <- struct{}{}
		}
	})
	codes, err := cli.GetQRChannel(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if status, body := call(t, "POST", h.Control+"/queue", `[{"HTTPStatus":503},{"PairDelay":"1ms"}]`); status != 204 {
		t.Fatalf("queue: %d %s", status, body)
	}
	if err := cli.Connect(); err == nil {
		t.Fatal("connected through the fault")
	}
	if err := cli.Connect(); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"qr": (<-codes).Code, "user": "5550100"})
	if err != nil {
		t.Fatal(err)
	}
	if status, text := call(t, "POST", h.Control+"/scan", string(body)); status != 204 {
		t.Fatalf("scan: %d %s", status, text)
	}
	if status, text := call(t, "POST", h.Control+"/scan", string(body)); status != 404 {
		t.Errorf("second scan: %d %s", status, text)
	}
	if (<-codes).Event != "success" {
		t.Error("not paired")
	}
	for range cap(connected) {
		select {
		case <-connected:
		case <-time.After(20 * time.Second):
			t.Fatal("not logged in")
		}
	}
	want := `{"dials":3,"handshakes":2,"pairDevices":1,"pairings":1,"logins":1,"open":1}`
	if _, got := call(t, "GET", h.Control+"/stats", ""); got != want {
		t.Errorf("stats %s, want %s", got, want)
	}
	cli.Disconnect()
}

func TestControl_Responses(t *testing.T) {
	t.Parallel()
	h := start(t, "-ref-ttl", "1ns", "-first-frame-delay", "1ms")
	addr, _, _ := strings.Cut(strings.TrimPrefix(h.URL, "ws://"), "/")
	cli := whatsappsimtest.Client(t, addr)
	codes, err := cli.GetQRChannel(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := cli.Connect(); err != nil {
		t.Fatal(err)
	}
	expired, err := json.Marshal((<-codes).Code)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"a fault":              {"POST", "/fault", `{"Failure":405}`, 204, ""},
		"an unknown fault":     {"POST", "/fault", `{"Fail":405}`, 400, "unknown field"},
		"no JSON":              {"POST", "/fault", `405`, 400, "bad request"},
		"too much":             {"POST", "/queue", "[" + strings.Repeat("{},", 32<<10) + "{}]", 400, "too large"},
		"no code":              {"POST", "/scan", `{"qr":"hello","user":"5550100"}`, 400, "not a WhatsApp QR code"},
		"no account":           {"POST", "/scan", `{"qr":` + string(expired) + `}`, 400, "not an account"},
		"an expired code":      {"POST", "/scan", `{"qr":` + string(expired) + `,"user":"5550100"}`, 410, "expired"},
		"a code and more":      {"POST", "/scan", `{"qr":"x","phone":"5550100"}`, 400, "unknown field"},
		"unlink nobody":        {"POST", "/unlink", `{"user":"5550100"}`, 204, ""},
		"another path":         {"POST", "/reset", ``, 404, "not found"},
		"another method":       {"GET", "/fault", ``, 405, "Method Not Allowed"},
		"what happened so far": {"GET", "/stats", ``, 200, `"pairDevices":1`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := call(t, tt.method, h.Control+tt.path, tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d with %q", status, body, tt.status, tt.want)
			}
			if strings.Contains(body, string(expired)) {
				t.Error("the answer repeats the code")
			}
		})
	}
	if status, _ := call(t, "POST", h.Control+"/cut", ""); status != 204 {
		t.Errorf("cut: %d", status)
	}
	for item := range codes {
		if item.Event == "timeout" { // whatsmeow's word for a lost connection
			return
		}
	}
	t.Error("the cut did not reach the client")
}

// A taken port is a sentence and exit code 1.
func TestRun_PortInUse(t *testing.T) {
	t.Parallel()
	h := start(t)
	var errOut bytes.Buffer
	code := run(t.Context(), []string{"-listen", strings.TrimPrefix(h.Control, "http://")}, io.Discard, &errOut)
	if code != 1 || !strings.Contains(errOut.String(), "in use") {
		t.Errorf("exit code %d: %s", code, errOut.String())
	}
}
