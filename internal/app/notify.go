package app

import (
	"crypto/rand"
	"net/http"
	"path/filepath"

	"qrgate/internal/diagnosis"
	"qrgate/internal/notify"
	"qrgate/probes"
)

// newNotifier makes the notifications to operators, if an address is set.
func (a *App) newNotifier() (err error) {
	if len(a.cfg.NotifyAddresses) == 0 {
		return nil
	}
	cfg := notify.Config{
		Addresses: a.cfg.NotifyAddresses, ProbeInterval: a.probeIntervals()[probes.CreateConnectQR],
		WhatsApp: a.whatsAppCause, Owner: rand.Text(), Logger: a.cfg.Logger,
		Storages: []notify.Storage{notify.FileStorage(filepath.Join(a.cfg.DataDir, "notify"))},
	}
	if a.admin != nil {
		cfg.StatusURL = a.AdminURL() + "/status"
	}
	if a.redis != nil {
		cfg.Leases = scopedLeases{a.redis, a.sealer.Scope()}
		table := notify.TableStorage{Table: a.redis.Table("notify:" + a.sealer.Scope())}
		cfg.Storages = append(cfg.Storages, table)
	}
	a.notifier, err = notify.New(cfg)
	return err
}

// whatsAppCause is the cause of a failing check of the connection to WhatsApp, if it says something about the engine's.
func (a *App) whatsAppCause() diagnosis.Code {
	result := a.lastConnectivity()
	if a.embedded != nil {
		result = a.reachability.current()
	}
	if result.At.IsZero() || result.OK() || result.Elsewhere {
		return ""
	}
	return result.Code
}

// mountNotify serves the test of the notifications. Pages of other sites cannot call it.
func (a *App) mountNotify(mux *http.ServeMux) {
	if a.notifier == nil {
		return
	}
	test := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		results, err := a.notifier.Test(r.Context())
		if err != nil {
			writeJSON(w, http.StatusInternalServerError, map[string]any{"success": false, "error": err.Error()})
			return
		}
		status, failed := http.StatusOK, map[string]string{}
		for _, result := range results {
			if result.Err != "" {
				status, failed[result.Receiver] = http.StatusBadGateway, result.Err
			}
		}
		body := map[string]any{"success": len(failed) == 0, "receivers": len(results), "failed": failed}
		writeJSON(w, status, body)
	})
	mux.Handle("POST /notify/test", http.NewCrossOriginProtection().Handler(test))
}
