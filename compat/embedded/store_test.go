package embedded_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"

	"qrgate/compat/embedded"
	"qrgate/internal/secret"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// After a restart of the process paired sessions reconnect, sessions that a client disconnected stay disconnected,
// and ids do not change.
func TestStore_RestartReconnectsPairedSessions(t *testing.T) {
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
	d := again.untilStatus("linked", "connected", waitTimeout)
	if d["id"] != id || d["phoneNumber"] != "5550100" {
		t.Errorf("%v, want id %v", d, id)
	}
	for _, name := range []string{"paused", "open"} {
		if d := again.call("GET", "/api/sessions/"+name+"/status").data(); d["status"] != "disconnected" {
			t.Errorf("%s: %v", name, d)
		}
	}
	again.call("POST", "/api/sessions/paused/connect")
	again.untilStatus("paused", "connected", waitTimeout)
	if n := srv.Stats().Pairings; n != 2 {
		t.Errorf("%d pairings, want the first two", n)
	}
}

func TestDelete_RemovesSessionAndDevice(t *testing.T) {
	t.Parallel()
	var unlinked atomic.Int32
	srv := &whatsappsim.Server{PreKeys: preKeyCount, Trace: func(dir string, n *waBinary.Node) {
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
		t.Error("the device is still on the phone's list")
	}
	if a := r.call("DELETE", "/api/sessions/first"); a.status != 404 {
		t.Errorf("the second delete: %d %s", a.status, a.raw)
	}
	r.connect("first")
	r.code("first")
	if second := r.call("GET", "/api/sessions/first").data()["id"].(float64); second <= first {
		t.Errorf("the id %v was reused", second)
	}
	r.call("DELETE", "/api/sessions/first")
	r.stop()
	waitFor(t, "open connections", func() bool { return srv.Stats().Open == 0 })
	again := start(t, r.config)
	if a := again.call("GET", "/api/sessions"); a.data()["total"] != 0.0 {
		t.Errorf("after a restart: %s", a.raw)
	}
}

// The files contain device keys.
func TestStore_FilesArePrivate(t *testing.T) {
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

// Two sessions of one phone are two devices.
func TestScan_OnePhoneTwoSessions(t *testing.T) {
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

// WhatsApp reuses the number of an unlinked device. The library would keep the old keys under it, so the old session
// must lose the device, and the new one must reconnect after a restart.
func TestScan_ReusedDeviceNumberUnlinksOldSession(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{DataDir: t.TempDir()})
	device := whatsappsim.Account{User: "5550100", Device: 7}
	pair := func(id string) {
		t.Helper()
		r.connect(id)
		if err := srv.Scan(context.Background(), r.code(id), device); err != nil {
			t.Fatal(err)
		}
		r.untilStatus(id, "connected", waitTimeout)
	}
	pair("old")
	r.call("POST", "/api/sessions/old/disconnect")
	pair("new")
	d := r.call("GET", "/api/sessions/old/status").data()
	if d["status"] != "disconnected" || d["phoneNumber"] != nil || reasonOf(d) != "logged_out" {
		t.Errorf("old: %v", d)
	}
	r.stop()
	start(t, r.config).untilStatus("new", "connected", waitTimeout)
}

// A session without device keys needs a new scan; it does not retry.
func TestStore_LostKeysMeanLoggedOut(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{PreKeys: preKeyCount}
	r := start(t, embedded.Config{DataDir: t.TempDir(), HTTPClient: srv.HTTPClient(whatsappsimtest.Start(t, srv))})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	r.stop()
	execute(t, r.config.DataDir, "DELETE FROM whatsmeow_device")
	again := start(t, r.config)
	d := again.until("first", waitTimeout, func(d map[string]any) bool { return reasonOf(d) == "logged_out" })
	if d["status"] != "disconnected" || d["phoneNumber"] != nil {
		t.Errorf("%v", d)
	}
	again.call("POST", "/api/sessions/first/connect")
	again.code("first")
}

// Two engines on the same sessions would disconnect each other's phones.
func TestStore_SecondEngineIsRefused(t *testing.T) {
	t.Parallel()
	r, srv := onLoopback(t, embedded.Config{DataDir: t.TempDir()})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	for range 2 { // a refused engine leaves no lock behind
		_, err := embedded.New(r.config)
		if err == nil || !strings.Contains(err.Error(), "in use by another qrgate process") || !strings.Contains(err.Error(), "QRGATE_DATA_DIR") {
			t.Fatalf("a second engine: %v", err)
		}
	}
	r.untilStatus("first", "connected", waitTimeout)
	r.stop()
	start(t, r.config).untilStatus("first", "connected", waitTimeout)
}

// testDatabase is the environment variable with the URL of a Postgres server whose user may create databases.
const testDatabase = "QRGATE_TEST_DATABASE_URL"

// newPostgres returns the URL of a new database.
func newPostgres(t *testing.T) string {
	t.Helper()
	at := os.Getenv(testDatabase)
	if at == "" {
		if os.Getenv("QRGATE_REQUIRE_ALL") == "1" {
			t.Fatalf("%s is not set, and all tests are required", testDatabase)
		}
		t.Skipf("set %s to the URL of a Postgres server to run this test", testDatabase)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	name := "qrgate_" + strings.ToLower(rand.Text())
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = db.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		_ = db.Close()
	})
	u.Path = "/" + name
	return u.String()
}

func TestPostgres_StoresAndLocksSessions(t *testing.T) {
	t.Parallel()
	at := newPostgres(t)
	r, srv := onLoopback(t, embedded.Config{DatabaseURL: secret.NewSecret(at)})
	r.connect("first")
	r.scan(srv, "first", "5550100")
	db, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	waitFor(t, "uploaded prekeys", func() bool {
		var n int
		err := db.QueryRow("SELECT COUNT(*) FROM whatsmeow_pre_keys WHERE uploaded AND length(key) = 32").Scan(&n)
		return err == nil && n >= 50
	})
	if a := r.call("POST", "/api/sessions", `{"sessionId":"first","sessionName":"x"}`); a.status != 409 {
		t.Errorf("duplicate: %d %s", a.status, a.raw)
	}
	r.make("second")
	if _, err := embedded.New(r.config); err == nil || !strings.Contains(err.Error(), "in use by another qrgate process") {
		t.Errorf("a second engine: %v", err)
	}
	r.stop()
	again := start(t, r.config)
	again.untilStatus("first", "connected", waitTimeout)
	for _, id := range []string{"first", "second"} {
		if a := again.call("DELETE", "/api/sessions/"+id); a.status != 200 {
			t.Errorf("delete: %d %s", a.status, a.raw)
		}
	}
	if a := again.call("GET", "/api/sessions"); a.data()["total"] != 0.0 {
		t.Errorf("after the deletes: %s", a.raw)
	}
}

// A damaged file is named, with what to do. It is not replaced.
func TestNew_DamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	r := startIdle(t, embedded.Config{DataDir: t.TempDir()})
	r.make("first")
	r.stop()
	path := filepath.Join(r.config.DataDir, "qrgate.db")
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte){
		"header": func(b []byte) { copy(b, "no database at all") }, "pages": func(b []byte) { clear(b[100:]) },
	} {
		damaged := slices.Clone(intact)
		damage(damaged)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := embedded.New(r.config)
		if err == nil || !strings.Contains(err.Error(), path+" is damaged: restore it from a backup") {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, damaged) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if err := os.WriteFile(path, intact, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := start(t, r.config).call("GET", "/api/sessions/first"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.raw)
	}
}

func TestNew_DatabaseErrorHasNoPassword(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"postgres://user:hunter2@127.0.0.1:1/db?connect_timeout=1", "postgres://user:hunter2@[invalid/db", "hunter2 no url"} {
		_, err := embedded.New(embedded.Config{DatabaseURL: secret.NewSecret(at), Keys: keys(t, "a:"+keyA)})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "QRGATE_DATABASE_URL") {
			t.Errorf("%v", err)
		}
	}
}

// A scan that cannot be stored is named, and the phone is not paired with a session that a restart would lose.
func TestScan_UnstoredPairingIsNamed(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("whatsmeow itself races when the server closes the connection of a pairing that it could not store")
	}
	r, srv := onLoopback(t, embedded.Config{DataDir: t.TempDir()})
	r.make("first")
	r.stop()
	execute(t, r.config.DataDir, "CREATE TRIGGER no BEFORE UPDATE ON qrgate_session BEGIN SELECT RAISE(ABORT, 'no'); END")
	again := start(t, r.config)
	again.call("POST", "/api/sessions/first/connect")
	if err := srv.Scan(context.Background(), again.code("first"), whatsappsim.Account{User: "5550100"}); err == nil {
		t.Error("the scan succeeded")
	}
	d := again.untilStatus("first", "error", waitTimeout)
	if reasonOf(d) != "internal" || d["phoneNumber"] != nil {
		t.Errorf("%v", d)
	}
}
