package confusion_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"qrgate/internal/app"
	"qrgate/internal/diagnosis"
	"qrgate/internal/test/enginesim"
)

// kindFaults returns the faults between qrgate and an engine of another API.
func kindFaults() []fault {
	return slices.Concat(sharedFaults(), evolutionFaults(), otherKindFaults())
}

// sharedFaults can occur at each engine.
func sharedFaults() []fault {
	simply := func(k enginesim.FaultKind) func(*restWorld) {
		return func(w *restWorld) { w.fails(k, enginesim.AnyRoute); w.connect(w.id) }
	}
	unreachable := []diagnosis.Code{diagnosis.EngineUnreachable}
	return []fault{
		{name: "the engine is healthy", want: diagnosis.None, kinds: func(w *restWorld) { w.connect(w.id) }},
		{name: "a QR takes four seconds", want: diagnosis.None, kinds: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = 4 * time.Second })
			w.connect(w.id)
		}},
		{name: "the engine closes connections", want: diagnosis.EngineUnreachable, kinds: simply(enginesim.CutConnection)},
		{name: "nginx: the engine is down", want: diagnosis.EngineUnreachable, kinds: simply(enginesim.HTML502)},
		{name: "nginx: the engine is too slow", want: diagnosis.EngineTimeout, kinds: simply(enginesim.HTML504)},
		{name: "the engine hangs", want: diagnosis.EngineTimeout, kinds: simply(enginesim.Hang)},
		{name: "the body is no JSON", want: diagnosis.EngineBadResponse, kinds: simply(enginesim.Garbage)},
		{name: "redirects to another host", want: diagnosis.EngineBadResponse, kinds: simply(enginesim.Redirect)},
		{name: "endless responses", want: diagnosis.EngineBadResponse, kinds: simply(enginesim.EndlessBody)},
		{name: "another program responds: the kind is wrong", want: diagnosis.EngineBadResponse,
			also: []diagnosis.Code{diagnosis.ConnectFailing}, kinds: func(w *restWorld) {
				w.put(func(rw http.ResponseWriter, r *http.Request) { // an Express application without the route
					rw.Header().Set("Content-Type", "application/json; charset=utf-8")
					rw.WriteHeader(http.StatusNotFound)
					fmt.Fprintf(rw, `{"message":"Cannot %s %s","error":"Not Found","statusCode":404}`, r.Method, r.URL.Path)
				})
				w.connect(w.id)
			}},
		{name: "the key is revoked", want: diagnosis.KeyRefused, only: []string{"evolution", "gowa", "waha"},
			kinds: func(w *restWorld) { // wuzapi's sessions have tokens of their own
				w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
				w.connect(w.id)
				w.sleep(3 * time.Second)
				w.change(func(e *enginesim.Engine) { e.Keys = map[string]string{"key-of-another": "b"} })
				w.markStart()
			}},
		{name: "the session is deleted at the engine", want: diagnosis.SessionNotFound,
			before: []diagnosis.Code{diagnosis.EngineRestarted}, kinds: func(w *restWorld) {
				w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
				w.connect(w.id)
				w.sleep(7 * time.Second)
				w.engine.Reset()
				w.markStart()
			}},
		{name: "the engine is restarted", want: diagnosis.EngineRestarted, before: unreachable, passes: true,
			kinds: func(w *restWorld) {
				w.change(func(e *enginesim.Engine) { e.QRDelay = 5 * time.Second })
				w.connect(w.id)
				w.sleep(2 * time.Second)
				w.change(func(e *enginesim.Engine) { e.DiesAt, e.DownFor = time.Now(), 6*time.Second })
				w.markStart()
			}},
		{name: "no session gets a QR", want: diagnosis.QRNotEmitted, kinds: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
			other := w.create("shop-2")
			w.connect(w.id)
			w.connect(other)
		}},
		{name: "all codes expire: qrgate connects again", want: diagnosis.None, until: 30 * time.Second,
			kinds: func(w *restWorld) {
				w.change(func(e *enginesim.Engine) { e.Rotation = []time.Duration{3 * time.Second} })
				w.connect(w.id)
				w.sleep(3 * time.Second)
				w.markStart()
			}},
		{name: "a phone is linked", want: diagnosis.AlreadyPaired, kinds: func(w *restWorld) {
			w.connect(w.id)
			w.call(http.MethodGet, "/api/sessions/"+w.id+"/qr", "")
			if err := w.engine.Link("shop-1"); err != nil {
				w.Error(err)
			}
			w.markStart()
		}},
	}
}

// reports makes Evolution's list report why the instance is disconnected, as Baileys words it.
func (w *restWorld) reports(status int, message string) {
	w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
	w.connect(w.id)
	at := time.Now().UTC().Format(time.RFC3339)
	object := fmt.Sprintf(`{\"error\":{\"isBoom\":true,\"output\":{\"statusCode\":%d,\"payload\":{\"message\":\"%s\"}}}}`,
		status, message)
	w.rewrites(`"disconnectionReasonCode":null,"disconnectionObject":null`, fmt.Sprintf(
		`"disconnectionReasonCode":%d,"disconnectionObject":"%s","disconnectionAt":"%s"`, status, object, at))
	w.markStart()
}

func evolutionFaults() []fault {
	only := []string{"evolution"}
	return []fault{
		{name: "the engine has no licence", want: diagnosis.EngineUnlicensed, only: only, kinds: func(w *restWorld) {
			w.responds("", http.StatusServiceUnavailable, "application/json",
				`{"code":"LICENSE_REQUIRED","docs_url":"https://docs.evolutionfoundation.com.br"}`)
			w.connect(w.id)
		}},
		{name: "WhatsApp refuses the client's version", want: diagnosis.ClientOutdated, only: only,
			kinds: func(w *restWorld) { w.reports(405, "Connection Failure") }},
		{name: "WhatsApp logs the device out", want: diagnosis.LoggedOut, only: only,
			kinds: func(w *restWorld) { w.reports(401, "Connection Failure") }},
		{name: "WhatsApp is out of order", want: diagnosis.WhatsAppUnavailable, only: only,
			kinds: func(w *restWorld) { w.reports(503, "Connection Failure") }},
	}
}

// otherKindFaults are what the other engines say in words of their own.
func otherKindFaults() []fault {
	return []fault{
		{name: "calls about one session wait for each other", want: diagnosis.EngineStuck, only: []string{"waha"},
			kinds: func(w *restWorld) {
				w.responds("/start", http.StatusInternalServerError, "application/json", `{"statusCode":500,`+
					`"exception":{"message":"async-lock timed out in queue shop-1","name":"Error"}}`)
				w.connect(w.id)
			}},
		{name: "the engine cannot reach WhatsApp", want: diagnosis.NetworkBlocked, only: []string{"gowa"},
			kinds: func(w *restWorld) {
				w.responds("/login", http.StatusUnauthorized, "application/json",
					`{"code":"AUTHENTICATION_ERROR","message":"reconnect error","results":null}`)
				w.connect(w.id)
			}},
		{name: "WhatsApp ends the login without a code", want: diagnosis.ConnectFailing, only: []string{"gowa"},
			kinds: func(w *restWorld) {
				w.responds("/login", http.StatusInternalServerError, "application/json", `{"code":"INTERNAL_SERVER_ERROR",`+
					`"message":"QR channel closed without receiving image","results":null}`)
				w.connect(w.id)
			}},
		{name: "the engine's socket is down after an accepted connect", want: diagnosis.QRNotEmitted, only: []string{"wuzapi"},
			kinds: func(w *restWorld) {
				w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
				w.responds("/session/qr", http.StatusInternalServerError, "application/json",
					`{"code":500,"error":"not connected","success":false}`)
				w.connect(w.id)
			}},
	}
}

// writeKinds writes the table of the engines of another API.
func (all *table) writeKinds(b *strings.Builder) {
	b.WriteString("\n## Between qrgate and an engine with another API\n\n" +
		"Each engine is simulated in its own API, after recordings of the real program; [DIALECTS.md](DIALECTS.md) describes them.\n\n" +
		"| Fault | Cause |")
	for _, d := range app.Dialects() {
		fmt.Fprintf(b, " %s | Part named |", d.Kind)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|---|", len(app.Dialects())) + "\n")
	for _, f := range kindFaults() {
		fmt.Fprintf(b, "| %s | %s |", f.name, f.truth())
		for _, d := range app.Dialects() {
			fmt.Fprintf(b, " %s | %s |", all.cell(f, engine(d.Kind)), all.part(f, engine(d.Kind)))
		}
		b.WriteString("\n")
	}
}
