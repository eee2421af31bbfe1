package probes_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rsc.io/qr"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/test/enginesim"
	"qrgate/probes"
)

// asURL is a picture as engines send it.
func asURL(p image.Image) string {
	var b bytes.Buffer
	_ = png.Encode(&b, p)
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

// painted is a square picture.
func painted(side int, at func(x, y int) bool) image.Image {
	p := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			p.SetGray(x, y, color.Gray{Y: 255})
			if at(x, y) {
				p.SetGray(x, y, color.Gray{})
			}
		}
	}
	return p
}

// code is a real QR with s pixels a module, m light modules around it, and a hand at every module.
func code(text string, s, m int, touch func(x, y int, dark bool) bool) image.Image {
	c, _ := qr.Encode(text, qr.L)
	return painted((c.Size+2*m)*s, func(x, y int) bool {
		x, y = x/s-m, y/s-m
		if x < 0 || y < 0 || x >= c.Size || y >= c.Size {
			return false
		}
		return touch(x, y, c.Black(x, y))
	})
}

func untouched(_, _ int, dark bool) bool { return dark }

const realistic = "2@AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdEfGhIjKl,MnOpQrStUvWxYz0123456789+/AbCdEfGhIjKlMnOpQr=,AbCdEfGhIjKlMnOpQrStUvWxYz0123456789="

func TestPictures(t *testing.T) {
	t.Parallel()
	noise := rand.New(rand.NewPCG(1, 2))
	transparent := image.NewNRGBA(image.Rect(0, 0, 200, 200))
	for name, test := range map[string]struct {
		text string
		good bool
	}{
		"real, 4 pixels a module": {asURL(code(realistic, 4, 4, untouched)), true},
		"real, 1 pixel a module":  {asURL(code(realistic, 1, 4, untouched)), true},
		"real, without a margin":  {asURL(code(realistic, 3, 0, untouched)), true},
		"real, of the least size": {asURL(code("1", 5, 4, untouched)), true},

		"blank":       {asURL(painted(200, func(int, int) bool { return false })), false},
		"black":       {asURL(painted(200, func(int, int) bool { return true })), false},
		"transparent": {asURL(transparent), false},
		"noise":       {asURL(painted(132, func(int, int) bool { return noise.IntN(2) == 0 })), false},
		"inverted":    {asURL(code(realistic, 4, 0, func(_, _ int, dark bool) bool { return !dark })), false},
		"a corner is missing": {asURL(code(realistic, 4, 4, func(x, y int, dark bool) bool {
			return dark && (x > 8 || y < 20)
		})), false},
		"the timing line is missing": {asURL(code(realistic, 4, 4, func(x, y int, dark bool) bool {
			return dark && (y != 6 || x < 8 || x > 30)
		})), false},
		"a finder has no heart": {asURL(code(realistic, 4, 4, func(x, y int, dark bool) bool {
			return dark && (x < 2 || x > 4 || y < 14)
		})), false},
		"cut in half":     {asURL(code(realistic, 4, 4, func(x, _ int, dark bool) bool { return dark && x < 20 })), false},
		"huge":            {"data:image/png;base64," + strings.Repeat("A", 1<<19), false},
		"a huge promise":  {asURL(code(realistic, 60, 4, untouched)), false},
		"no base64":       {"data:image/png;base64,****", false},
		"no PNG":          {"data:image/png;base64,aGVsbG8=", false},
		"a damaged PNG":   {asURL(code(realistic, 4, 4, untouched))[:400], false},
		"another picture": {"data:image/gif;base64,R0lGODlhAQABAAAAACw=", false},
		"text":            {realistic, false},
		"nothing":         {"", false},
	} {
		if err := probes.CheckPicture(test.text); (err == nil) != test.good {
			t.Errorf("%s: %v, want good: %v", name, err, test.good)
		} else if err != nil && (strings.Contains(err.Error(), "base64,") || len(err.Error()) > 100) {
			t.Errorf("%s: the error repeats the picture: %v", name, err)
		}
	}
}

func FuzzPicture(f *testing.F) {
	f.Add([]byte(asURL(code(realistic, 1, 4, untouched))[22:]))
	f.Add([]byte(asURL(image.NewGray(image.Rect(0, 0, 21, 21)))[22:]))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = probes.CheckPicture("data:image/png;base64," + base64.StdEncoding.EncodeToString(b)) // it must not panic
	})
}

// tampered stands before an engine and changes what it says of a QR.
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

// TestASuccessThatIsNone: the engine answers 200 and a client could not link with what it sends.
func TestASuccessThatIsNone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(map[string]any)
		want   diagnosis.Code
		says   string
	}{
		"blank":            {func(d map[string]any) { d["qrCode"] = asURL(painted(200, func(int, int) bool { return false })) }, diagnosis.QRInvalid, "blank"},
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

func TestTheSameCodeTwice(t *testing.T) {
	engine := &enginesim.Engine{Codes: func(string, int) string { return realistic }}
	bubble(t, engine, func(r *rig) {
		p := r.prober()
		r.wants(p.Once(r.Context(), probes.CreateConnectQR), session.Success, diagnosis.None)
		r.wants(p.Once(r.Context(), probes.CreateConnectQR), session.Failure, diagnosis.QRInvalid)
		r.engine.Change(func(e *enginesim.Engine) { e.Codes = nil })
		r.wants(p.Once(r.Context(), probes.CreateConnectQR), session.Success, diagnosis.None)
		r.clean()
	})
}

// TestADiagnosisIsBelieved: what a gate says of a session is better than what can be guessed from outside.
func TestADiagnosisIsBelieved(t *testing.T) {
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
		"503, the gate's own":    {503, `{"success":false,"code":"ENGINE_TIMEOUT"}`, "", diagnosis.EngineTimeout, 35},
		"409":                    {409, `{"success":false,"code":"SESSION_ALREADY_CONNECTED"}`, "", diagnosis.AlreadyPaired, 1},
		"404":                    {404, `{"success":false,"code":"SESSION_NOT_FOUND"}`, "", diagnosis.SessionNotFound, 1},
	} {
		t.Run(name, func(t *testing.T) {
			engine := &enginesim.Engine{}
			gate := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
			bubbleBefore(t, engine, gate, func(r *rig) {
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
