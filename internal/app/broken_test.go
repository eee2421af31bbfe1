package app_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

// rotten are invalid responses of an engine, and the codes of the causes that qrgate reports.
var rotten = map[string]struct {
	kind  enginesim.FaultKind
	codes string
}{
	"a page for 502":     {enginesim.HTML502, "engine_unreachable ENGINE_UNREACHABLE"},
	"a page for 504":     {enginesim.HTML504, "engine_timeout ENGINE_TIMEOUT"},
	"garbage":            {enginesim.Garbage, "engine_bad_response ENGINE_BAD_ANSWER"},
	"an empty body":      {enginesim.EmptyBody, "engine_bad_response ENGINE_BAD_ANSWER"},
	"a body without end": {enginesim.EndlessBody, "engine_bad_response ENGINE_BAD_ANSWER"},
	"a gzip bomb":        {enginesim.GzipBomb, "engine_bad_response ENGINE_BAD_ANSWER"},
	"a QR of a megabyte": {enginesim.HugeQR, "engine_bad_response qr_invalid"},
	"a redirect":         {enginesim.Redirect, "engine_bad_response ENGINE_BAD_ANSWER"},
	"half of a response": {enginesim.TruncatedBody, "engine_unreachable ENGINE_UNREACHABLE ENGINE_BAD_ANSWER"},
	"nothing at all":     {enginesim.Hang, "engine_timeout ENGINE_TIMEOUT QR_NOT_READY"},
	"byte by byte":       {enginesim.SlowBody, "engine_timeout ENGINE_TIMEOUT QR_NOT_READY"},
	"a cut connection":   {enginesim.CutConnection, "engine_unreachable ENGINE_UNREACHABLE"},
	"an error":           {enginesim.ServerError, "engine_5xx INTERNAL_ERROR QR_NOT_READY"},
}

// Whatever the engine responds to /qr, the client gets a clear response, the acquisition goes on, and the QR comes
// when the engine heals.
func TestQR_BrokenEngineResponses(t *testing.T) {
	for name, c := range rotten {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{QRDelay: 2 * time.Second}, func(r *rig) {
				id := r.create("crm-1")
				r.connect(id)
				r.spoil(enginesim.RouteQR, c.kind)
				res := r.get("/api/sessions/" + id + "/qr")
				if res.StatusCode != http.StatusServiceUnavailable && res.StatusCode != http.StatusAccepted || !strings.Contains(c.codes, res.text("code")) {
					r.Errorf("while it is broken: %d %s", res.StatusCode, res.body)
				}
				r.heal()
				r.insists(id, 8*time.Second)
			})
		})
	}
}

// The same for the routes that qrgate forwards: never a 500, never HTML, never more than half a minute.
func TestForwarded_BrokenEngineResponses(t *testing.T) {
	for name, c := range rotten {
		t.Run(name, func(t *testing.T) {
			bubble(t, &enginesim.Engine{}, func(r *rig) {
				id := r.create("crm-1")
				r.spoil(enginesim.AnyRoute, c.kind)
				for _, path := range []string{"", "/" + id, "/" + id + "/status"} {
					began := time.Now()
					res := r.get("/api/sessions" + path)
					if name == "a QR of a megabyte" {
						continue // it is JSON, and no list: the responseChecker has checked what qrgate made of it
					}
					if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(c.codes, res.text("code")) {
						r.Errorf("GET %s: %d %s", path, res.StatusCode, res.body)
					}
					if took := time.Since(began); took > 30*time.Second {
						r.Errorf("GET %s took %v", path, took)
					}
				}
				r.heal()
				r.get("/api/sessions/" + id + "/status").wants(http.StatusOK)
			})
		})
	}
}

func (r *rig) spoil(route enginesim.Route, kind enginesim.FaultKind) {
	r.engine.Change(func(e *enginesim.Engine) {
		e.Faults = map[enginesim.Route]enginesim.Fault{route: {Kind: kind}}
	})
}

func (r *rig) heal() { r.engine.Change(func(e *enginesim.Engine) { e.Faults = nil }) }

// Bodies without end and bodies that grow cost a bounded amount of memory, and nothing of it stays.
func TestBrokenResponses_MemoryIsBounded(t *testing.T) {
	for _, kind := range []enginesim.FaultKind{enginesim.EndlessBody, enginesim.GzipBomb, enginesim.HugeQR} {
		bubbleAlone(t, &enginesim.Engine{}, func(r *rig) {
			id := r.create("crm-1")
			r.connect(id)
			r.spoil(enginesim.AnyRoute, kind)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			n := len(r.engine.Calls())
			for range 2 {
				r.get("/api/sessions/" + id + "/qr?wait=1")
				r.get("/api/sessions")
			}
			runtime.ReadMemStats(&after)
			if each := (after.TotalAlloc - before.TotalAlloc) / uint64(r.calls(n)); each > 64<<20 {
				r.Errorf("fault %d: %d MiB were allocated for each response of the engine", kind, each>>20)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 24<<20 {
				r.Errorf("fault %d: %d MiB are kept", kind, kept>>20)
			}
		})
	}
}
