package embedded_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// After a restart of the process linked sessions come back by themselves, those that somebody disconnected
// stay away, and unlinked ones are disconnected; ids stay what they were.
func TestProcessRestart(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{DataDir: t.TempDir()})
	for _, id := range []string{"linked", "paused", "open"} {
		r.connect(id)
	}
	r.scan(srv, "linked", "5550100")
	r.scan(srv, "paused", "5550101")
	r.call("POST", "/api/sessions/paused/disconnect")
	r.untilStatus("paused", "disconnected", time.Second)
	id := r.call("GET", "/api/sessions/linked").data()["id"]
	r.stop()

	again := start(t, r.config)
	d := again.untilStatus("linked", "connected", patience)
	if d["id"] != id || d["phoneNumber"] != "5550100" {
		t.Errorf("%v, want id %v", d, id)
	}
	for _, name := range []string{"paused", "open"} {
		if d := again.call("GET", "/api/sessions/"+name+"/status").data(); d["status"] != "disconnected" {
			t.Errorf("%s: %v", name, d)
		}
	}
	again.call("POST", "/api/sessions/paused/connect")
	again.untilStatus("paused", "connected", patience)
	if n := srv.Stats().Pairings; n != 2 {
		t.Errorf("%d pairings, want the two of before", n)
	}
}

func TestDeleteForgetsEverything(t *testing.T) {
	t.Parallel()
	var unlinked atomic.Int32
	srv := &whatsappsim.Server{PreKeys: fewKeys, Trace: func(dir string, n *waBinary.Node) {
		if _, ok := n.GetOptionalChildByTag("remove-companion-device"); ok && dir == "<-" {
			unlinked.Add(1)
		}
	}}
	r := start(t, embedded.Config{DataDir: t.TempDir(), HTTPClient: srv.HTTPClient(whatsappsimtest.Start(t, srv))})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	first := r.call("GET", "/api/sessions/first").data()["id"].(float64)
	began := time.Now()
	if a := r.call("DELETE", "/api/sessions/first"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the delete took %v", took)
	}
	if unlinked.Load() != 1 {
		t.Error("the device stays on the phone's list")
	}
	if a := r.call("DELETE", "/api/sessions/first"); a.status != 404 {
		t.Errorf("the second delete: %d %s", a.status, a.raw)
	}
	r.connect("first")
	r.code("first")
	if second := r.call("GET", "/api/sessions/first").data()["id"].(float64); second <= first {
		t.Errorf("the id %v was given twice", second)
	}
	r.call("DELETE", "/api/sessions/first")
	r.stop()
	waitFor(t, "open connections", func() bool { return srv.Stats().Open == 0 })
	again := start(t, r.config)
	if a := again.call("GET", "/api/sessions"); a.data()["total"] != 0.0 {
		t.Errorf("after a restart: %s", a.raw)
	}
}

// The files hold device keys: nobody else may read them.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data # 100%?")
	r, _ := onLoopback(t, embedded.Config{DataDir: dir})
	r.connect("first")
	r.code("first")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "qrgate.db")); err != nil {
		t.Error(err)
	}
}

// One phone may hold two sessions: they are two devices of it, and both stay.
func TestOnePhoneTwoSessions(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{})
	for _, id := range []string{"first", "second"} {
		r.connect(id)
		r.scan(srv, id, "5550100")
	}
	for _, id := range []string{"first", "second"} {
		if d := r.call("GET", "/api/sessions/"+id+"/status").data(); d["status"] != "connected" || d["phoneNumber"] != "5550100" {
			t.Errorf("%s: %v", id, d)
		}
	}
}

// WhatsApp gives the number of an unlinked device to the next one. The library would keep the old keys under
// it; so the session that had it before must lose it, and the new one must come back after a restart.
func TestDeviceNumberIsGivenAgain(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{DataDir: t.TempDir()})
	device := whatsappsim.Account{User: "5550100", Device: 7}
	pair := func(id string) {
		t.Helper()
		r.connect(id)
		if err := srv.Scan(context.Background(), r.code(id), device); err != nil {
			t.Fatal(err)
		}
		r.untilStatus(id, "connected", patience)
	}
	pair("old")
	r.call("POST", "/api/sessions/old/disconnect")
	pair("new")
	d := r.call("GET", "/api/sessions/old/status").data()
	if d["status"] != "disconnected" || d["phoneNumber"] != nil || reasonOf(d) != "logged_out" {
		t.Errorf("old: %v", d)
	}
	r.stop()
	start(t, r.config).untilStatus("new", "connected", patience)
}

// waitFor waits for something that another process does in its own time.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// A session whose device keys are gone asks for a new scan instead of trying for ever.
func TestLostKeysMeanLoggedOut(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{PreKeys: fewKeys}
	r := start(t, embedded.Config{DataDir: t.TempDir(), HTTPClient: srv.HTTPClient(whatsappsimtest.Start(t, srv))})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	r.stop()
	execute(t, r.config.DataDir, "DELETE FROM whatsmeow_device")
	again := start(t, r.config)
	d := again.until("first", patience, func(d map[string]any) bool { return reasonOf(d) == "logged_out" })
	if d["status"] != "disconnected" || d["phoneNumber"] != nil {
		t.Errorf("%v", d)
	}
	again.call("POST", "/api/sessions/first/connect")
	again.code("first")
}
