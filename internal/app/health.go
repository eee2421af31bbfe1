package app

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/statuspage"
)

// readyz reports whether the gateway can serve: 503 once it stops, so that load balancers send no more requests.
// Without Redis, its engine, WhatsApp or its disk it is degraded and ready: removing the replica would not help.
func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	body := map[string]any{"status": "ok", "version": a.cfg.Version, "engine": "embedded", "store": "memory"}
	if a.backends[0].engine.Base != nil {
		body["engine"] = "http"
	}
	if a.store != nil {
		body["store"] = "redis"
		if !a.store.Up() {
			body["store"] = "memory"
		}
	}
	if why := a.degradations(time.Now()); len(why) > 0 {
		body["status"], body["why"] = "degraded", strings.Join(why, " ")
	}
	if a.isStopping.Load() {
		body["status"] = "stopping"
		writeJSON(w, http.StatusServiceUnavailable, body)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// degradations describes what is missing, and what to do.
func (a *App) degradations(now time.Time) []string {
	var why []string
	if a.store != nil && !a.store.Up() {
		why = append(why, a.storeNote()+" Start Redis or correct QRGATE_REDIS_URL.")
	}
	storesKeys := false
	for _, b := range a.backends {
		why = append(why, b.degradations(now)...)
		storesKeys = storesKeys || b.embedded != nil && a.cfg.DatabaseURL.Empty()
	}
	storesNotes := a.redis == nil && !a.cfg.ProbeKey.Empty() // of the probes' sessions
	if err := checkWritable(a.cfg.DataDir); err != nil && (storesKeys || storesNotes) {
		why = append(why, fmt.Sprintf("QRGATE_DATA_DIR cannot be written (%v). Free space, or correct its permissions.", err))
	}
	return why
}

// degradations describes what the engine lacks.
func (b *backend) degradations(now time.Time) (why []string) {
	add := func(cause diagnosis.Code, evidence string) {
		d := diagnosis.New(cause)
		text := d.Title + ". " + evidence + d.Help
		if len(b.app.backends) > 1 {
			text = b.engine.Name + ": " + text
		}
		why = append(why, text)
	}
	if engine := b.recorder.Snapshot(now).Engine; engine.State == statuspage.EngineDown {
		evidence := ""
		if last := engine.Last; last != nil && last.Class != "ok" {
			evidence = "Last call: " + last.Text + ". "
		}
		add(engine.Cause, evidence)
	}
	if result := b.app.reachability.statusView(); b.embedded != nil && result != nil && !result.OK() {
		add(result.Code, "")
	}
	return why
}

// checkWritable writes and removes a file in a directory, if that exists. A file of no bytes would fit on a full disk.
func checkWritable(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f, err := os.CreateTemp(dir, ".write-test-")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// warnOpenDataDir warns of a data directory that other users of this host can read or change.
func (a *App) warnOpenDataDir() {
	paths, _ := filepath.Glob(filepath.Join(a.cfg.DataDir, "*"))
	for _, path := range append([]string{a.cfg.DataDir}, paths...) {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows" {
			a.cfg.Logger.Warn("data directory is open to other users", "path", path, "mode", info.Mode().String(),
				"remedy", "chmod -R o= "+a.cfg.DataDir)
		}
	}
}
