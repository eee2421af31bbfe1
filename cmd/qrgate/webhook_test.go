//go:build unix

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/test/enginesim"
	"qrgate/internal/test/redistest"
)

const webhookSecret = "the secret of the webhook"

// hookReceiver is a webhook's receiver that can be down.
type hookReceiver struct {
	t  *testing.T
	mu sync.Mutex

	isDown   bool
	refused  int
	accepted []string // events
}

// ServeHTTP implements http.Handler.
func (r *hookReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	raw, _ := io.ReadAll(req.Body)
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	mac.Write(raw)
	var body struct {
		Event, SessionID, Timestamp string
		Data                        struct{ Status, QRCode, ExpiresAt, PhoneNumber string }
	}
	err := json.Unmarshal(raw, &body)
	if err != nil || req.Header.Get("X-Webhook-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) ||
		body.SessionID != "shop-1" || body.Data.Status == "" || (body.Event == "session.qr") != (body.Data.QRCode != "") ||
		(body.Event == "session.connected") != (body.Data.PhoneNumber != "") {
		r.t.Errorf("%v: signature %q of %s", err, req.Header.Get("X-Webhook-Signature"), raw)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isDown {
		r.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.accepted = append(r.accepted, body.Event)
}

// setDown returns what was accepted so far.
func (r *hookReceiver) setDown(isDown bool) (accepted []string, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isDown = isDown
	return r.accepted, r.refused
}

// A process that is killed between an event and its delivery loses none, in front of another engine, with its queue in
// the data directory or in Redis. No client polls for the scan.
func TestWebhook_KilledProcessLosesNoEvent(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]func(*testing.T) []string{
		"files": func(*testing.T) []string { return nil },
		"redis": func(t *testing.T) []string {
			return []string{"QRGATE_REDIS_URL=" + redistest.Start(t).URL(), "QRGATE_SECRET=a secret of the tests"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := &enginesim.Engine{QRDelay: 100 * time.Millisecond}
			receiver := &hookReceiver{t: t, isDown: true}
			hook := httptest.NewServer(receiver)
			t.Cleanup(hook.Close)
			env := append(settings(t), "QRGATE_ENGINE_URL="+startEngine(t, engine), "QRGATE_WEBHOOK_URL="+hook.URL,
				"QRGATE_WEBHOOK_SECRET="+webhookSecret, "QRGATE_WEBHOOK_ALLOW_PRIVATE=true", "QRGATE_DATA_DIR="+t.TempDir())
			base, kill := startKillable(t, env)
			post(t, base, "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`)
			post(t, base, "/api/sessions/shop-1/connect", "{}")
			waitUntil(t, "the first attempt", func() bool {
				_, refused := receiver.setDown(true)
				return refused > 0
			})
			if err := engine.Link("shop-1"); err != nil {
				t.Fatal(err)
			}
			post(t, base, "/api/sessions/shop-1/disconnect", "{}")
			kill()
			receiver.setDown(false)
			startKillable(t, env)
			want := []string{"session.qr", "session.disconnected"}
			waitUntil(t, "the events", func() bool { accepted, _ := receiver.setDown(false); return len(accepted) >= len(want) })
			if accepted, _ := receiver.setDown(false); !cmp.Equal(accepted, want) {
				t.Errorf("%v, want %v", accepted, want)
			}
		})
	}
}

// startKillable runs qrgate in a process of its own, and returns its URL for clients.
func startKillable(t *testing.T, env []string, out ...io.Writer) (base string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	listen := freePort(t)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(append(os.Environ(), runAsCommand+"=1", "QRGATE_LISTEN="+listen, "QRGATE_ADMIN_LISTEN=off"), env...)
	for _, w := range out {
		cmd.Stdout, cmd.Stderr = w, w
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	base = "http://" + listen
	waitUntil(t, "the start", func() bool {
		res, err := http.Get(base + "/health")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return base, kill
}

func post(t *testing.T, base, path, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", "key-a")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("%s: %s", path, res.Status)
	}
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(15 * time.Second); !done(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
