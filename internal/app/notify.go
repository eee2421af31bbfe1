package app

import (
	"crypto/rand"
	"net/http"

	"qrgate/internal/diagnosis"
	"qrgate/internal/notify"
	"qrgate/internal/store"
	"qrgate/probes"
)

// newNotifier makes the notifications to operators, if an address is set.
func (b *backend) newNotifier() (err error) {
	if len(b.app.cfg.NotifyAddresses) == 0 {
		return nil
	}
	cfg := notify.Config{
		Addresses: b.app.cfg.NotifyAddresses, ProbeInterval: b.app.probeIntervals()[probes.CreateConnectQR],
		WhatsApp: b.whatsAppCause, Owner: rand.Text(), Logger: b.log,
		Storages: []store.Table{notify.FileStorage(b.dir("notify"))},
	}
	if b.app.admin != nil {
		cfg.StatusURL = b.app.AdminURL() + "/status"
	}
	if len(b.app.backends) > 1 {
		cfg.Engine = b.engine.Name
		if cfg.StatusURL != "" {
			cfg.StatusURL += "?engine=" + b.engine.Name
		}
	}
	if b.app.redis != nil {
		cfg.Leases = scopedLeases{b.app.redis, b.sealer.Scope()}
		cfg.Storages = append(cfg.Storages, b.app.redis.Table("notify:"+b.sealer.Scope()))
	}
	b.notifier, err = notify.New(cfg)
	return err
}

// whatsAppCause is the cause of a failing check of the connection to WhatsApp, if it concerns the engine's.
func (b *backend) whatsAppCause() diagnosis.Code {
	result := b.lastConnectivity()
	if b.embedded != nil {
		result = b.app.reachability.current()
	}
	if result.At.IsZero() || result.OK() || result.Elsewhere {
		return ""
	}
	return result.Code
}

// mountNotify serves the test of the notifications. Pages of other sites cannot call it.
func (a *App) mountNotify(mux *http.ServeMux) {
	notifier := a.backends[0].notifier // all have the same receivers
	if notifier == nil {
		return
	}
	test := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		results, err := notifier.Test(r.Context())
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
