package confusion_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/test/enginesim"
)

// restFaults returns the faults between qrgate and an engine of the documented API.
func restFaults() []fault {
	return slices.Concat(engineFaults(), connectFaults(), frontFaults(), codeFaults(), severalEngines())
}

// engineFaults are faults of the engine itself.
func engineFaults() []fault {
	all := []enginesim.Route{enginesim.AnyRoute}
	unreachable := []diagnosis.Code{diagnosis.EngineUnreachable}
	simply := func(k enginesim.FaultKind, routes ...enginesim.Route) func(*restWorld) {
		return func(w *restWorld) { w.fails(k, routes...); w.connect(w.id) }
	}
	return []fault{
		{name: "the engine is healthy", want: diagnosis.None, rest: func(w *restWorld) { w.connect(w.id) }},
		{name: "a QR takes four seconds", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = 4 * time.Second })
			w.connect(w.id)
		}},
		{name: "the first connect fails", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = 1 })
			w.connect(w.id)
		}},
		{name: "/status returns 404 for every session", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.Status404UntilLinked = true; e.QRDelay = 3 * time.Second })
			w.connect(w.id)
		}},
		{name: "the engine closes connections", want: diagnosis.EngineUnreachable, rest: simply(enginesim.CutConnection, all...)},
		{name: "nginx: the engine is down", want: diagnosis.EngineUnreachable, rest: simply(enginesim.HTML502, all...)},
		{name: "nginx: the engine is too slow", want: diagnosis.EngineTimeout, rest: simply(enginesim.HTML504, all...)},
		{name: "the engine hangs", want: diagnosis.EngineTimeout, rest: simply(enginesim.Hang, all...)},
		{name: "the engine hangs at /qr alone", want: diagnosis.EngineTimeout, rest: simply(enginesim.Hang, enginesim.RouteQR)},
		{name: "responses come byte by byte", want: diagnosis.EngineTimeout, rest: simply(enginesim.SlowBody, enginesim.RouteQR)},
		{name: "responses are truncated", want: diagnosis.EngineUnreachable, rest: simply(enginesim.TruncatedBody, enginesim.RouteQR)},
		{name: "/qr returns 500", want: diagnosis.Engine5xx, rest: simply(enginesim.ServerError, enginesim.RouteQR)},
		{name: "every connect fails", want: diagnosis.ConnectFailing, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = -1 })
			w.connect(w.id)
		}},
		{name: "the body is no JSON", want: diagnosis.EngineBadResponse, rest: simply(enginesim.Garbage, all...)},
		{name: "empty responses", want: diagnosis.EngineBadResponse, rest: simply(enginesim.EmptyBody, enginesim.RouteQR)},
		{name: "redirects to another host", want: diagnosis.EngineBadResponse, rest: simply(enginesim.Redirect, all...)},
		{name: "endless responses", want: diagnosis.EngineBadResponse, rest: simply(enginesim.EndlessBody, enginesim.RouteQR)},
		{name: "a gzip bomb", want: diagnosis.EngineBadResponse, rest: simply(enginesim.GzipBomb, enginesim.RouteQR)},
		{name: "the engine refuses every call for a while", want: diagnosis.RateLimited, rest: simply(enginesim.TooMany, all...)},
		{name: "other clients use up the rate limit", want: diagnosis.RateLimited, passes: true, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) {
				e.Limits = enginesim.RecordedLimits()
				e.QRDelay = 2 * time.Second
			})
			w.connect(w.id)
			for range 30 { // requests of other clients to the engine itself, with the same key
				req := httptest.NewRequest(http.MethodGet, "/api/sessions", nil)
				req.Header.Set("X-API-Key", key)
				w.engine.ServeHTTP(httptest.NewRecorder(), req)
			}
			w.markStart()
		}, until: 90 * time.Second},
		{name: "the key is revoked", want: diagnosis.KeyRefused, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
			w.connect(w.id)
			w.sleep(3 * time.Second)
			w.change(func(e *enginesim.Engine) { e.Keys = map[string]string{"key-of-another": "a"} })
			w.markStart()
		}},
		{name: "the session is deleted at the engine", want: diagnosis.SessionNotFound, before: []diagnosis.Code{diagnosis.EngineRestarted}, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay, e.Limits = time.Hour, enginesim.RecordedLimits() })
			w.connect(w.id)
			w.sleep(7 * time.Second)
			w.engine.Reset()
			w.markStart()
		}},
		{name: "the engine is restarted", want: diagnosis.EngineRestarted, before: unreachable, passes: true, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = 5 * time.Second })
			w.connect(w.id)
			w.sleep(2 * time.Second)
			w.change(func(e *enginesim.Engine) { e.DiesAt, e.DownFor = time.Now(), 6*time.Second })
			w.markStart()
		}},
		{name: "no session gets a QR", want: diagnosis.QRNotEmitted, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
			other := w.create("shop-2")
			w.connect(w.id)
			w.connect(other)
		}},
		{name: "every session ends in state error", want: diagnosis.QRNotEmitted, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.ErrorInsteadOfQR = true })
			w.connect(w.id)
		}},
		{name: "one session is stuck, others work", want: diagnosis.SessionStuck, passes: true, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.StuckUntilForce = true })
			w.connect(w.id)
			other := w.create("shop-2")
			w.call(http.MethodPost, "/api/sessions/"+other+"/connect", `{"force":true}`)
			w.call(http.MethodGet, "/api/sessions/"+other+"/qr", "")
		}},
		{name: "no session gets a QR any more, one has one", want: diagnosis.QRNotEmitted, rest: func(w *restWorld) {
			other := w.create("shop-2")
			w.connect(other)
			w.call(http.MethodGet, "/api/sessions/"+other+"/qr", "")
			w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
			w.connect(w.id)
		}},
		{name: "the QR is no image", want: diagnosis.QRInvalid, rest: func(w *restWorld) {
			w.rewrites(`"data:image/png;base64,iVBORw0KGgo`, `"data:image/png;base64,AAAAAAAAAAA`)
			w.connect(w.id)
		}},
		{name: "all codes expire", want: diagnosis.QRExpired, passes: true, until: 30 * time.Second, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.Rotation = []time.Duration{3 * time.Second}; e.QRTTL = 3 * time.Second })
			w.connect(w.id)
			w.sleep(3 * time.Second)
			w.markStart()
		}},
		{name: "a phone is linked", want: diagnosis.AlreadyPaired, rest: func(w *restWorld) {
			w.connect(w.id)
			w.call(http.MethodGet, "/api/sessions/"+w.id+"/qr", "")
			if err := w.engine.Link("shop-1"); err != nil {
				w.Error(err)
			}
			w.markStart()
		}},
		{name: "the engine is at its session limit", want: diagnosis.SessionLimit, rest: func(w *restWorld) {
			w.rewrites("Error conectando sesión", "Límite de sesiones alcanzado")
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = -1 })
			w.connect(w.id)
		}},
		{name: "the engine reports that its Redis is down", want: diagnosis.Engine5xx, rest: func(w *restWorld) {
			w.rewrites("Error conectando sesión", "connect ECONNREFUSED 127.0.0.1:6379")
			w.change(func(e *enginesim.Engine) { e.ConnectFailures = -1 })
			w.connect(w.id)
		}},
		{name: "responses take four seconds", want: diagnosis.EngineOverloaded, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.Latency = 4 * time.Second; e.QRDelay = time.Hour })
			w.connect(w.id)
		}},
		{name: "one poll fails", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) {
				e.QRDelay = 3 * time.Second
				e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.RouteQR: {Kind: enginesim.CutConnection, First: 1}}
			})
			w.connect(w.id)
		}},
	}
}

// connectFaults are causes that an engine names in the error of a connect.
func connectFaults() []fault {
	machine := []diagnosis.Part{diagnosis.ThisMachine}
	type row struct {
		name, text string
		want       diagnosis.Code
		parts      []diagnosis.Part
	}
	var out []fault
	for _, r := range []row{
		{"its disk is full", "ENOSPC: no space left on device, write", diagnosis.DiskFull, machine},
		{"its disk is read-only", "EROFS: read-only file system, open 'creds.json'", diagnosis.DiskFull, machine},
		{"its Postgres is down", "connect ECONNREFUSED 127.0.0.1:5432", diagnosis.Engine5xx, nil},
		{"it has no memory left", "FATAL ERROR: JavaScript heap out of memory", diagnosis.EngineOverloaded, nil},
		{"its browser does not start", "Failed to launch the browser process", diagnosis.Engine5xx, nil},
		{"its name server fails", "getaddrinfo EAI_AGAIN web.whatsapp.com", diagnosis.DNSFailed, nil},
		{"its name server does not answer", "dial tcp: lookup web.whatsapp.com on 127.0.0.11:53: read udp: i/o timeout", diagnosis.DNSFailed, nil},
		{"its browser resolves no name", "net::ERR_NAME_NOT_RESOLVED at https://web.whatsapp.com/", diagnosis.DNSFailed, nil},
		{"its browser's proxy is away", "net::ERR_PROXY_CONNECTION_FAILED at https://web.whatsapp.com/", diagnosis.ProxyRefused, nil},
		{"its queue is down", "connect ECONNREFUSED 172.18.0.4:5672", diagnosis.Engine5xx, nil},
		{"its webhook's receiver is down", "connect ECONNREFUSED 127.0.0.1:80", diagnosis.Undetermined, nil},
		{"its connection was closed", "Connection Closed", diagnosis.Undetermined, nil},
		{"its websocket gets no handshake", "couldn't dial whatsapp web websocket: websocket: bad handshake", diagnosis.Undetermined, nil},
		{"another service of its own is down", "HTTPConnectionPool(host='whatsapp-addon', port=3000): Max retries exceeded: Connection refused", diagnosis.Undetermined, nil},
		{"its Windows opens no connection", "dial tcp 157.240.10.32:443: connectex: No connection could be made because the target machine actively refused it.", diagnosis.NetworkBlocked, nil},
		{"node-postgres lost its connection", "Connection terminated unexpectedly", diagnosis.Engine5xx, nil},
		{"a certificate is not trusted, of no peer that it names", "self-signed certificate in certificate chain", diagnosis.Undetermined, nil},
		{"something failed, in words of no list", "auth timeout", diagnosis.Undetermined, nil},
		{"its program has a fault", "TypeError: Cannot read properties of undefined (reading 'state')", diagnosis.ConnectFailing, nil},
		{"its browser has crashed", "Navigation failed because browser has disconnected!", diagnosis.EngineOverloaded, nil},
		{"its firewall refuses", "connect ECONNREFUSED 157.240.1.60:443", diagnosis.NetworkBlocked, nil},
		{"a block list answers its resolver", "connect ECONNREFUSED 0.0.0.0:443", diagnosis.DNSFailed, nil},
		{"its proxy requires credentials", "tunneling socket could not be established, statusCode=407", diagnosis.ProxyRefused, nil},
		{"its clock is behind", "certificate is not yet valid", diagnosis.ClockWrong, machine},
		{"its library is outdated", "405 Connection Failure", diagnosis.ClientOutdated, nil},
		{"the account needs a passkey", "PASSKEY_REQUIRED", diagnosis.PasskeyRequired, nil},
		{"the account is banned", "403 Connection Failure", diagnosis.AccountBanned, nil},
		{"another connection took over", "440 Stream Errored (conflict)", diagnosis.SessionConflict, nil},
		{"WhatsApp has an outage", "503 Stream Errored (unknown)", diagnosis.WhatsAppUnavailable, nil},
	} {
		out = append(out, fault{name: "the engine reports that " + r.name, want: r.want, parts: r.parts,
			rest: func(w *restWorld) { w.connectError(r.text) }})
	}
	rejects := func(name string, status int, body string, want diagnosis.Code, header ...string) {
		out = append(out, fault{name: name, want: want, rest: func(w *restWorld) {
			w.responds("/connect", status, "application/json", body, header...)
			w.connect(w.id)
		}})
	}
	rejects("a connect gets 402, the licence has ended", 402, `{"success":false,"message":"License expired"}`, diagnosis.ConnectFailing)
	rejects("a connect gets 405, Baileys' own status", 405,
		`{"statusCode":405,"error":"Method Not Allowed","message":"Connection Failure"}`, diagnosis.ClientOutdated)
	rejects("a connect gets 401, Baileys' own status", 401,
		`{"statusCode":401,"error":"Unauthorized","message":"Connection Failure"}`, diagnosis.LoggedOut)
	rejects("a connect gets 403, the key may not connect", 403, `{"success":false,"message":"Forbidden"}`, diagnosis.KeyRefused)
	rejects("a connect gets 400, too many sessions", 400, `{"success":false,"message":"Se alcanzó el número máximo de sesiones"}`, diagnosis.SessionLimit)
	rejects("a connect gets 503 and Retry-After", 503, `{"success":false,"message":"Try later"}`, diagnosis.ConnectFailing, "Retry-After", "5")
	return out
}

// frontFaults are faults of the network to the engine, and of a server in front of it.
func frontFaults() []fault {
	const page = "<!doctype html><html><title>%s</title></html>"
	engine := []diagnosis.Code{diagnosis.EngineBadResponse, diagnosis.EngineUnreachable}
	dial := func(err error) func(*restWorld) {
		return func(w *restWorld) {
			w.cannotDial(&net.OpError{Op: "dial", Net: "tcp", Err: err})
			w.connect(w.id)
		}
	}
	shows := func(suffix string, status int, title string, header ...string) func(*restWorld) {
		return func(w *restWorld) {
			w.responds(suffix, status, "text/html", fmt.Sprintf(page, title), header...)
			w.connect(w.id)
		}
	}
	expired := x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}}
	return []fault{
		{name: "the engine's port is closed", want: diagnosis.EngineUnreachable, rest: dial(syscall.ECONNREFUSED)},
		{name: "there is no route to the engine", want: diagnosis.EngineUnreachable, rest: dial(syscall.EHOSTUNREACH)},
		{name: "the engine's name is not resolved", want: diagnosis.EngineUnreachable,
			rest: dial(&net.DNSError{Err: "no such host", Name: "engine.test", IsNotFound: true})},
		{name: "the engine's certificate has expired", want: diagnosis.EngineUnreachable, evidence: "its certificate has expired",
			rest: dial(&tls.CertificateVerificationError{Err: expired})},
		{name: "the engine speaks HTTPS in place of HTTP", want: diagnosis.EngineUnreachable, also: engine, rest: func(w *restWorld) {
			w.cannotDial(fmt.Errorf("malformed HTTP response %q", "\x15\x03\x01\x00\x02\x02"))
			w.connect(w.id)
		}},
		{name: "a CDN challenges with 403", want: diagnosis.EngineBadResponse, evidence: "Server: cloudflare", rest: shows("", 403, "Just a moment...", "Server", "cloudflare")},
		{name: "a maintenance page with 503", want: diagnosis.EngineUnreachable, evidence: "Server: nginx", also: engine,
			rest: shows("", 503, "Maintenance", "Server", "nginx", "Retry-After", "3600")},
		{name: "a maintenance page with 200", want: diagnosis.EngineBadResponse, rest: shows("", 200, "Maintenance")},
		{name: "a parked domain", want: diagnosis.EngineBadResponse, rest: shows("", 404, "This domain is parked")},
		{name: "nginx limits /qr with 503", want: diagnosis.RateLimited, also: []diagnosis.Code{diagnosis.EngineBadResponse},
			parts: []diagnosis.Part{diagnosis.Engine, diagnosis.Caller}, rest: shows("/qr", 503, "503 Service Temporarily Unavailable", "Server", "nginx")},
		{name: "nginx limits /qr with 429", want: diagnosis.RateLimited, rest: shows("/qr", 429, "429 Too Many Requests", "Server", "nginx")},
		{name: "a CDN refuses with JSON", want: diagnosis.EngineBadResponse, evidence: "Error 1020", rest: func(w *restWorld) {
			w.responds("", 403, "application/problem+json", `{"title":"Error 1020: Access denied","status":403,"cloudflare_error":true}`)
			w.connect(w.id)
		}},
		{name: "a platform has no such application", want: diagnosis.EngineBadResponse, evidence: "Application not found", rest: func(w *restWorld) {
			w.responds("", 404, "application/json", `{"status":"error","code":404,"message":"Application not found"}`)
			w.connect(w.id)
		}},
		{name: "a platform's proxy has no server", want: diagnosis.EngineUnreachable, rest: func(w *restWorld) {
			w.responds("/qr", 503, "text/plain", "no available server\n")
			w.connect(w.id)
		}},
		{name: "a cache returns an old QR", want: diagnosis.EngineBadResponse, evidence: "from a cache", rest: func(w *restWorld) {
			w.responds("/qr", 200, "application/json", `{"success":true,"data":{"qrCode":"2@ref,noise,identity,adv,1"}}`, "Age", "300")
			w.connect(w.id)
		}},
		{name: "every call gets 401", want: diagnosis.KeyRefused, rest: func(w *restWorld) {
			w.responds("", 401, "application/json", `{"success":false,"code":"INVALID_API_KEY","message":"API Key inválida"}`)
			w.connect(w.id)
		}},
	}
}

// codeFaults are responses to GET …/qr with something else than a new code of the session.
func codeFaults() []fault {
	qr := func(body string) func(*restWorld) {
		return func(w *restWorld) { w.responds("/qr", 200, "application/json", body); w.connect(w.id) }
	}
	code := func(text string) func(*restWorld) {
		return qr(fmt.Sprintf(`{"success":true,"data":{"qrCode":%q,"sessionId":"shop-1","status":"qr_code"}}`, text))
	}
	rewritten := func(change func(data map[string]any, n int64)) func(*restWorld) {
		return func(w *restWorld) {
			var n atomic.Int64
			w.put(func(rw http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				w.engine.ServeHTTP(rec, r)
				body := rec.Body.Bytes()
				var parsed struct {
					Success bool           `json:"success"`
					Data    map[string]any `json:"data"`
				}
				if strings.HasSuffix(r.URL.Path, "/qr") && rec.Code == 200 && json.Unmarshal(body, &parsed) == nil {
					change(parsed.Data, n.Add(1))
					body, _ = json.Marshal(parsed)
				}
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(rec.Code)
				_, _ = rw.Write(body)
			})
			w.connect(w.id)
		}
	}
	return []fault{
		{name: `the QR is the word "undefined"`, want: diagnosis.QRInvalid, rest: code("undefined")},
		{name: "the QR is the address of a picture", want: diagnosis.QRInvalid, rest: code("http://engine:3001/statics/qr.png")},
		{name: "the QR is of another session", want: diagnosis.EngineBadResponse, rest: rewritten(func(data map[string]any, _ int64) {
			data["sessionId"] = "shop-999"
		})},
		{name: "the same code for ever, with a new expiry", want: diagnosis.QRInvalid, until: 3 * time.Minute, passes: true,
			rest: rewritten(func() func(data map[string]any, n int64) {
				var first any
				return func(data map[string]any, n int64) {
					if n == 1 {
						first = data["qrCode"]
					}
					data["qrCode"], data["expiresAt"] = first, time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
				}
			}())},
		{name: "a new code each second", want: diagnosis.QRInvalid, until: time.Minute, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.Rotation = slices.Repeat([]time.Duration{time.Second}, 100) })
			w.connect(w.id)
		}},
		{name: "the engine's clock is five minutes behind", want: diagnosis.QRInvalid, parts: []diagnosis.Part{diagnosis.Engine},
			rest: rewritten(func(data map[string]any, _ int64) {
				data["expiresAt"] = time.Now().Add(-4 * time.Minute).UTC().Format(time.RFC3339)
			})},
		{name: "the engine's clock is five minutes ahead", want: diagnosis.None, rest: rewritten(func(data map[string]any, _ int64) {
			data["expiresAt"] = time.Now().Add(6 * time.Minute).UTC().Format(time.RFC3339)
		})},
		{name: "404 until the QR is there", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay, e.NotYet = 3*time.Second, 404 })
			w.connect(w.id)
		}},
		{name: "an ambiguous \"already connected\" until the QR is there", want: diagnosis.None, rest: func(w *restWorld) {
			w.rewrites("Error obteniendo código QR", "QR Code not available or already connected.")
			w.change(func(e *enginesim.Engine) { e.QRDelay = 3 * time.Second })
			w.connect(w.id)
		}},
		{name: "/qr takes six seconds", want: diagnosis.EngineTimeout, passes: true, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRLatency = 6 * time.Second })
			w.connect(w.id)
		}},
		{name: "202 until the QR is there", want: diagnosis.None, rest: func(w *restWorld) {
			w.change(func(e *enginesim.Engine) { e.QRDelay, e.NotYet = 3*time.Second, 202 })
			w.connect(w.id)
		}},
	}
}

// severalEngines are engines that come and go, or stand behind one address.
func severalEngines() []fault {
	return []fault{
		{name: "two engines behind a balancer do not share sessions", want: diagnosis.EngineInconsistent, evidence: "knew it again",
			before: []diagnosis.Code{diagnosis.EngineRestarted}, rest: func(w *restWorld) {
				w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
				w.connect(w.id)
				var n atomic.Int64
				w.put(func(rw http.ResponseWriter, r *http.Request) {
					if n.Add(1)%2 == 0 {
						rw.Header().Set("Content-Type", "application/json")
						rw.WriteHeader(http.StatusNotFound)
						_, _ = rw.Write([]byte(`{"success":false,"error":"Sesión no encontrada","code":"SESSION_NOT_FOUND"}`))
						return
					}
					w.engine.ServeHTTP(rw, r)
				})
			}},
		{name: "the engine restarts again and again", want: diagnosis.EngineCrashLoop, evidence: "became unreachable 3 times", until: 70 * time.Second,
			before: []diagnosis.Code{diagnosis.EngineUnreachable, diagnosis.EngineRestarted}, rest: func(w *restWorld) {
				w.change(func(e *enginesim.Engine) { e.QRDelay = time.Hour })
				w.connect(w.id)
				for range 5 {
					w.change(func(e *enginesim.Engine) { e.DiesAt, e.DownFor = time.Now().Add(5*time.Second), 7*time.Second })
					w.sleep(12 * time.Second)
				}
			}},
		{name: "the engine forgets a session that it has just created", want: diagnosis.EngineInconsistent, rest: func(w *restWorld) {
			w.responds("/connect", 404, "application/json", `{"success":false,"error":"Sesión no encontrada","code":"SESSION_NOT_FOUND"}`)
			w.connect(w.id)
			w.connect(w.id)
		}},
	}
}
