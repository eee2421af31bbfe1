package probes_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// blankPNG is an empty picture as the data URL of a PNG.
func blankPNG() string {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, 200, 200)))
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

// tampered changes the QR responses of an engine.
func tampered(e *enginesim.Engine, change func(data map[string]any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/qr") {
			e.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, r)
		var body map[string]any
		_ = json.Unmarshal(rec.Body.Bytes(), &body)
		if data, ok := body["data"].(map[string]any); ok {
			change(data)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", rec.Header().Get("Date"))
		w.WriteHeader(rec.Code)
		_ = json.NewEncoder(w).Encode(body)
	})
}

// The engine returns 200 with a QR that no phone can use.
func TestValidate_InvalidQR(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(map[string]any)
		want   diagnosis.Code
		says   string
	}{
		"blank":            {func(d map[string]any) { d["qrCode"] = blankPNG() }, diagnosis.QRInvalid, "blank"},
		"another's":        {func(d map[string]any) { d["sessionId"] = "ventas" }, diagnosis.QRInvalid, "another session"},
		"expired":          {func(d map[string]any) { d["expiresAt"] = time.Now().Add(-time.Second).Format(time.RFC3339) }, diagnosis.QRExpired, "expired"},
		"untouched":        {func(map[string]any) {}, diagnosis.None, ""},
		"without an end":   {func(d map[string]any) { delete(d, "expiresAt") }, diagnosis.None, ""},
		"the id as a text": {func(d map[string]any) { d["sessionId"] = "1" }, diagnosis.None, ""},
	} {
		t.Run(name, func(t *testing.T) {
			engine := &enginesim.Engine{}
			bubbleBefore(t, engine, tampered(engine, test.change), func(r *rig) {
				run := r.prober().Once(r.Context(), probes.CreateConnectQR)
				if run.Code() != test.want {
					r.Fatalf("the diagnosis is %s, want %s: %+v", run.Code(), test.want, run.Diagnosis)
				}
				if test.says != "" && !strings.Contains(run.Diagnosis.Evidence[0], test.says) {
					r.Errorf("the evidence %q does not say %q", run.Diagnosis.Evidence, test.says)
				}
				r.clean()
			})
		})
	}
}

func TestValidate_RepeatedCodeFails(t *testing.T) {
	engine := &enginesim.Engine{Codes: func(string, int) string { return "2@code,of,this,test" }}
	bubble(t, engine, func(r *rig) {
		p := r.prober()
		r.wants(p.Once(r.Context(), probes.CreateConnectQR), session.Success, diagnosis.None)
		r.wants(p.Once(r.Context(), probes.CreateConnectQR), session.Failure, diagnosis.QRInvalid)
		r.engine.Change(func(e *enginesim.Engine) { e.Codes = nil })
		r.wants(p.Once(r.Context(), probes.CreateConnectQR), session.Success, diagnosis.None)
		r.clean()
	})
}

// A gateway's diagnosis is better than a guess from outside.
func TestCreateConnectQR_TakesGatewayDiagnosis(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		qr     int
		body   string
		status string
		want   diagnosis.Code
		within float64
	}{
		"503 with a code":        {503, `{"success":false,"code":"client_outdated","error":"x","message":"x"}`, "", diagnosis.ClientOutdated, 1},
		"202, and a diagnosis":   {202, `{"success":false,"code":"QR_NOT_READY"}`, `{"success":true,"data":{"diagnosis":{"code":"dns_failed","evidence":["no such host"]}}}`, diagnosis.DNSFailed, 35},
		"202, and a null":        {202, `{"success":false,"code":"QR_NOT_READY"}`, `{"success":true,"data":{"diagnosis":null}}`, diagnosis.QRNotEmitted, 35},
		"202, and a strange one": {202, `{"success":false,"code":"QR_NOT_READY"}`, `{"success":true,"data":{"diagnosis":{"code":"gremlins"}}}`, diagnosis.QRNotEmitted, 35},
		"503, a code of qrgate":  {503, `{"success":false,"code":"ENGINE_TIMEOUT"}`, "", diagnosis.EngineTimeout, 35},
		"409":                    {409, `{"success":false,"code":"SESSION_ALREADY_CONNECTED"}`, "", diagnosis.AlreadyPaired, 1},
		"404":                    {404, `{"success":false,"code":"SESSION_NOT_FOUND"}`, "", diagnosis.SessionNotFound, 1},
	} {
		t.Run(name, func(t *testing.T) {
			engine := &enginesim.Engine{}
			gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case strings.HasSuffix(r.URL.Path, "/qr"):
					w.WriteHeader(test.qr)
					_, _ = w.Write([]byte(test.body))
				case strings.HasSuffix(r.URL.Path, "/qr/status") && test.status != "":
					_, _ = w.Write([]byte(test.status))
				default:
					engine.ServeHTTP(w, r)
				}
			})
			bubbleBefore(t, engine, gateway, func(r *rig) {
				run := r.prober().Once(r.Context(), probes.CreateConnectQR)
				r.wants(run, session.Failure, test.want)
				if run.Seconds > test.within {
					r.Errorf("it took %.1f s to know", run.Seconds)
				}
				synctest.Wait()
				r.clean()
			})
		})
	}
}
