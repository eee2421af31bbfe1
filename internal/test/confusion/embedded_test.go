package confusion_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/compat"
	"qrgate/compat/embedded"
	"qrgate/internal/secret"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// fewKeys makes the simulator report that it has prekeys; the library then makes 50 instead of 812.
const fewKeys = 100

// runEmbedded injects a fault into the embedded engine, on fake time, and returns qrgate's diagnoses.
func runEmbedded(t *testing.T, f fault) (said []reading) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		srv, pipe := &whatsappsim.Server{Fault: f.whatsapp.Fault, PreKeys: fewKeys}, &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, srv, pipe)
		keys, err := embedded.ParseKeys("tests:" + key)
		if err != nil {
			t.Fatal(err)
		}
		client := pipe.HTTPClient()
		if f.whatsapp.network != nil {
			client = f.whatsapp.network.client(t)
		}
		engine, err := embedded.New(embedded.Config{DataDir: dir, Keys: keys, HTTPClient: client, Limits: f.whatsapp.limits})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		ended := make(chan error, 1)
		go func() { ended <- engine.Run(ctx) }()
		g := newGateway(t, &url.URL{Scheme: "http", Host: "embedded.engine"}, embedded.Transport(engine), nil)
		if f.whatsapp.limits.Dials > 0 { // the session before this one gets no response for a while
			srv.QueueFaults(whatsappsim.Fault{HangHello: true})
			g.connect(g.create("shop-0"))
			time.Sleep(time.Second)
		}
		id := g.create("shop-1")
		g.connect(id)
		if f.whatsapp.fullDisk {
			fillDisk(t, dir)
		}
		if f.whatsapp.scan {
			g.scan(srv, id)
		}
		said = g.watch(id, 100*time.Millisecond, f.horizon())
		g.stop()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute) // a handshake or a proxy without a response ends later than the engine
	})
	return said
}

// fillDisk makes the engine's database refuse new devices as SQLite does on a full disk.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "qrgate.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []string{
		"CREATE TABLE full (id INTEGER PRIMARY KEY AUTOINCREMENT)",
		"INSERT INTO full VALUES (9223372036854775807)", // after the largest id, an insert fails with SQLITE_FULL
		"CREATE TRIGGER fill BEFORE INSERT ON whatsmeow_device BEGIN INSERT INTO full (id) VALUES (NULL); END",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// scan simulates a phone that scans the code from qrgate.
func (g *gateway) scan(srv *whatsappsim.Server, id string) {
	g.Helper()
	image := ""
	for end := time.Now().Add(time.Minute); image == "" && time.Now().Before(end); {
		body, _ := g.call(http.MethodGet, "/api/sessions/"+id+"/qr?wait=9", "")
		image = compat.StringOf(compat.Data(body)["qrCode"])
	}
	code, err := compat.ReadQR(secret.NewSecret(image))
	if err != nil {
		g.Fatal(err)
	}
	_ = srv.Scan(g.Context(), code.Reveal(), whatsappsim.Account{User: "5550100"}) // the client refuses a forged pairing
}
