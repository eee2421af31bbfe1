package compat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"qrgate/compat"
	"qrgate/internal/session"
)

func errorOf(op string, status int, body string, lines ...string) *session.EngineError {
	r := compat.Response{
		Status: status, Header: headers(strings.Join(lines, "|")), Body: []byte(body), Complete: true, At: now,
	}
	return r.EngineError(op)
}

// Sentences of public engines that mean "no QR yet", with every status that they send them with (fault B1).
func TestEngineError_NotYetInTheEnginesWords(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"QR Code not available or already connected.", "Session not already connected",
		"qr code not ready or already scanned", "QR not ready or already authenticated",
		"QR code not available. Session might be connected or generating QR",
		"no QR code available. Please wait a moment and try again", "QRCode is not available...",
		"Session status is not as expected. Try again later or restart the session",
		"Failed to generate QR", "QR is still being generated", "still generating", "QR_NOT_READY", "Not connected",
		"cant get qrcode", "QR code has not been generated yet", "The QR was not found", "WebSocket already connected",
		"Session not initialized", "二维码尚未生成", "QR belum tersedia, silakan tunggu", "Client already connected",
		"If the session is already connected, no QR is shown", "Already connected or the QR expired",
		"Error al generar el código QR", "El QR aún no está disponible", "Código QR no disponible o ya conectado",
		"Todavía no hay QR, espere", "QR no generado", "La sesión no está ya conectada", "Sin QR por ahora",
		"QR Code não disponível ou já conectado", "QR code ainda não foi gerado, aguarde", "Gerando QR code",
		"QR indisponível, tente novamente", "A sessão não está já conectada", "Sem QR code",
	} {
		for _, status := range []int{200, 202, 400, 404, 409, 422, 425, 500, 503} {
			body, _ := json.Marshal(map[string]any{"success": false, "error": text})
			if e := errorOf("qr", status, string(body)); e == nil || e.Kind != session.KindNotReady {
				t.Errorf("%d %q: %v", status, text, e)
			}
		}
	}
}

// Sentences that can only mean that a phone is paired. They are confirmed by the session's state; a code, or a state in
// the error itself, needs no confirmation (fault B1).
func TestEngineError_PairedInTheEnginesWords(t *testing.T) {
	t.Parallel()
	for body, isAmbiguous := range map[string]bool{
		`{"success":false,"error":"Session already connected"}`:                                     true,
		`{"error":"session already logged in"}`:                                                     true,
		`{"success":false,"error":"Already Loggedin","code":500}`:                                   true,
		`{"error":"Bad Request","message":"Session already authenticated, no QR needed"}`:           true,
		`{"error":"The device is already linked."}`:                                                 true,
		`{"error":"Client is already authenticated and ready"}`:                                     true,
		`{"error":"Perangkat sudah terhubung"}`:                                                     true,
		`{"error":"La session est déjà connectée"}`:                                                 true,
		`{"error":"Sitzung ist bereits verbunden"}`:                                                 true,
		`{"error":"La sesión ya está conectada"}`:                                                   true,
		`{"error":"El dispositivo ya fue vinculado"}`:                                               true,
		`{"error":"A sessão já está conectada"}`:                                                    true,
		`{"error":{"message":"Dispositivo já pareado"}}`:                                            true,
		`{"response":{"message":["Instance already connected"]}}`:                                   true,
		`{"success":false,"code":"SESSION_ALREADY_CONNECTED"}`:                                      false,
		`{"success":false,"code":"ALREADY_LOGGED_IN","error":"no QR or already connected"}`:         false,
		`{"error":"Session status is not as expected","status":"WORKING","expected":["SCAN_QR"]}`:   false,
		`{"success":false,"error":"QR not available or already connected","isConnected":true}`:      false,
		`{"success":false,"error":"no QR","data":{"instance":{"instanceName":"s","state":"open"}}}`: false,
	} {
		for _, status := range []int{400, 404, 409, 422, 500} {
			e := errorOf("qr", status, body)
			if e == nil || e.Kind != session.KindAlreadyPaired || e.IsAmbiguous != isAmbiguous {
				t.Errorf("%d %s: %+v", status, body, e)
			}
		}
	}
}

// Pages that are not the engine's: plain HTTP at a port of HTTPS, and a body in a coding that qrgate did not ask for.
func TestEngineError_PlainHTTPAndUnknownCodings(t *testing.T) {
	t.Parallel()
	e := errorOf("qr", 400, "<title>400 The plain HTTP request was sent to HTTPS port</title>", "Server: nginx")
	if e.Kind != session.KindUnreachable || e.Reason != compat.ReasonHTTPS {
		t.Errorf("%+v", e)
	}
	e = errorOf("qr", 530, `{"title":"Error 1033: Cloudflare Tunnel error","status":530}`)
	if e.Kind != session.KindUnreachable {
		t.Errorf("%+v", e)
	}
	for location, want := range map[string]string{
		"https://engine.example/api/sessions?key=canary": "a redirect to https://engine.example, Server: nginx",
		"/login?next=canary":                             "a redirect to /login, Server: nginx",
	} {
		e := errorOf("qr", 301, "", "Location: "+location, "Server: nginx")
		if e.Kind != session.KindBadResponse || e.Reason != want {
			t.Errorf("%s: %+v", location, e)
		}
	}
	e = errorOf("qr", 200, "\x0b\x01\x80{}\x03", "Content-Encoding: br", "Server: cloudflare")
	if e.Kind != session.KindBadResponse || e.Reason != "a body in the coding br, Server: cloudflare" {
		t.Errorf("%+v", e)
	}
}

// Errors about something else keep their meaning, whatever the operation's route is called.
func TestEngineError_OtherWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op     string
		status int
		text   string
		want   session.ErrorKind
	}{
		{"qr", 200, "session_not_found", session.KindSessionNotFound},
		{"qr", 400, "Session not found", session.KindSessionNotFound},
		{"qr", 422, `Session "x" does not exist`, session.KindSessionNotFound},
		{"qr", 500, "No session", session.KindSessionNotFound},
		{"qr", 404, "Sesión no encontrada", session.KindSessionNotFound},
		{"qr", 500, "A sessão não existe", session.KindSessionNotFound},
		{"qr", 404, "QR not available or session not found", session.KindNotReady},
		{"qr", 500, "database is locked", session.KindServerError},
		{"qr", 500, "Internal server error, try again", session.KindServerError},
		{"qr", 402, "licence expired", session.KindServerError},
		{"connect", 403, "Límite de sesiones alcanzado: máximo 5 sesiones", session.KindServerError},
		{"connect", 403, "Your plan does not include this", session.KindServerError},
		{"connect", 403, "License required", session.KindServerError},
		{"connect", 403, "Forbidden", session.KindKeyRefused},
		{"connect", 403, "The key may only read", session.KindKeyRefused},
		{"connect", 500, "Session not already connected", session.KindServerError},
		{"connect", 503, "Too many requests", session.KindRateLimited},
		{"connect", 400, "Demasiadas solicitudes", session.KindRateLimited},
		{"qr", 404, "Cannot GET /api/sessions/1/qr", session.KindBadResponse},
		{"qr", 404, "no Route matched with those values", session.KindBadResponse},
		{"qr", 504, "The upstream server is timing out", session.KindTimeout},
		{"qr", 502, "An invalid response was received from the upstream server", session.KindUnreachable},
		{"qr", 503, "name resolution failed", session.KindUnreachable},
		{"status", 409, "Session not ready", session.KindServerError},
	} {
		body, _ := json.Marshal(map[string]any{"success": false, "message": c.text})
		if e := errorOf(c.op, c.status, string(body)); e == nil || e.Kind != c.want {
			t.Errorf("%s %d %q: %v, want %s", c.op, c.status, c.text, e, c.want)
		}
	}
}

// A page of a server in front of the engine proves nothing about keys and sessions; what identifies the server is
// evidence (fault B3).
func TestEngineError_PagesOfOtherServers(t *testing.T) {
	t.Parallel()
	page := func(title string) string {
		return "<!DOCTYPE html><html><head><title>" + title + "</title></head><body>x</body></html>"
	}
	for _, c := range []struct {
		status       int
		server, body string
		want         session.ErrorKind
		reason       string
	}{
		{403, "cloudflare", page("Attention Required! | Cloudflare"), session.KindBadResponse, `an HTML page, Server: cloudflare, "Attention Required! | Cloudflare"`},
		{401, "nginx/1.26.2", page("401 Authorization Required"), session.KindBadResponse, `an HTML page, Server: nginx/1.26.2, "401 Authorization Required"`},
		{403, "CloudFront", page("ERROR: The request could not be satisfied"), session.KindBadResponse, `an HTML page, Server: CloudFront, "ERROR: The request could not be satisfied"`},
		{503, "cloudflare", page("Just a moment..."), session.KindBadResponse, `an HTML page, Server: cloudflare, "Just a moment..."`},
		{502, "nginx", page("502 Bad Gateway"), session.KindUnreachable, `an HTML page, Server: nginx, "502 Bad Gateway"`},
		{503, "awselb/2.0", page("503 Service Temporarily Unavailable"), session.KindUnreachable, `an HTML page, Server: awselb/2.0, "503 Service Temporarily Unavailable"`},
		{503, "", "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.", session.KindUnreachable, `an HTML page, "503 Service Unavailable"`},
		{503, "envoy", "no healthy upstream", session.KindUnreachable, `no JSON, Server: envoy, "no healthy upstream"`},
		{503, "nginx", page("429 Too Many Requests"), session.KindRateLimited, `an HTML page, Server: nginx, "429 Too Many Requests"`},
		{429, "", "Too Many Requests", session.KindRateLimited, `no JSON, "Too Many Requests"`},
		{504, "nginx", page("504 Gateway Time-out"), session.KindTimeout, `an HTML page, Server: nginx, "504 Gateway Time-out"`},
		{521, "cloudflare", page("engine.example | 521: Web server is down"), session.KindUnreachable, `an HTML page, Server: cloudflare, "engine.example | 521: Web server is down"`},
		{524, "cloudflare", page("524: A timeout occurred"), session.KindTimeout, `an HTML page, Server: cloudflare, "524: A timeout occurred"`},
		{520, "cloudflare", page("520: Web server is returning an unknown error"), session.KindUnreachable, `an HTML page, Server: cloudflare, "520: Web server is returning an unknown error"`},
		{530, "cloudflare", page("530: Origin DNS error"), session.KindUnreachable, `an HTML page, Server: cloudflare, "530: Origin DNS error"`},
		{525, "cloudflare", page("525: SSL handshake failed"), session.KindUnreachable, `an HTML page, Server: cloudflare, "525: SSL handshake failed"`},
		{403, "cloudflare", `{"title":"Error 1020: Access denied","cloudflare_error":true}`, session.KindBadResponse, `an error page as JSON, Server: cloudflare, "Error 1020: Access denied"`},
		{200, "Apache", page("En mantenimiento"), session.KindBadResponse, `an HTML page, Server: Apache, "En mantenimiento"`},
		{200, "", "", session.KindBadResponse, "an empty body"},
		{404, "", "404 page not found\n", session.KindBadResponse, `no JSON, "404 page not found"`},
		{500, "", "", session.KindServerError, "an empty body"},
		{500, "uvicorn", "Internal Server Error", session.KindServerError, `no JSON, Server: uvicorn, "Internal Server Error"`},
		{500, "a\x01b", `["2@code"]`, session.KindBadResponse, "no JSON"},
		{500, "", "<?xml version='1.0'?><e/>", session.KindBadResponse, "a page"},
		{500, "", "key 0123456789abcdef0123456789abcdef of +34 600 000 000", session.KindBadResponse, `no JSON, "key … of [number]"`},
	} {
		e := errorOf("qr", c.status, c.body, "Server: "+c.server)
		if e.Kind != c.want || e.Reason != c.reason {
			t.Errorf("%d %.40q: %s, %q, want %s, %q", c.status, c.body, e.Kind, e.Reason, c.want, c.reason)
		}
	}
}

// A 503 on the QR's route alone may be a rate limit of a proxy, but not if its page names another reason.
func TestEngineError_PageOf503IsAmbiguousUnlessItNamesTheReason(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"<title>503 Service Temporarily Unavailable</title>": true,
		"no available server\n":                              false, // Traefik, as Coolify and Easypanel have it
		"no healthy upstream":                                false,
		"<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.": false,
		"<title>503 Backend fetch failed</title>":                                          false,
	} {
		if e := errorOf("qr", 503, body); e.Kind != session.KindUnreachable || e.IsAmbiguous != want {
			t.Errorf("%q: %s, ambiguous %t", body, e.Kind, e.IsAmbiguous)
		}
	}
}

// A response that names another session is no response about this one (fault A6).
func TestSessionReport_AnotherSession(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked   session.Ref
		got     string
		isOther bool
	}{
		{session.Ref{ID: 61, Name: "s"}, `"id":61,"sessionId":"s"`, false},
		{session.Ref{ID: 61, Name: "s"}, `"id":999`, true},
		{session.Ref{ID: 61, Name: "s"}, `"id":999,"sessionId":"s"`, true},
		{session.Ref{ID: 61, Name: "s"}, `"sessionId":"other"`, true},
		{session.Ref{ID: 61, Name: "s"}, `"sessionId":"61"`, false},
		{session.Ref{ID: 61, Name: "s"}, `"sessionId":"S"`, false},
		{session.Ref{ID: 61}, `"id":999,"sessionId":"other"`, true},
		{session.Ref{ID: 61}, `"id":7,"sessionId":"61"`, false},
		{session.Ref{ID: 61}, `"sessionId":"s"`, false},
		{session.Ref{Name: "s"}, `"id":61,"sessionId":"s"`, false},
		{session.Ref{Name: "s"}, `"id":61`, false},
		{session.Ref{Name: "s"}, `"id":61,"sessionId":"other"`, true},
		{session.Ref{Name: "s"}, ``, false},
	} {
		for _, op := range []string{"qr", "status", "connect"} {
			body := fmt.Sprintf(`{"success":true,"data":{"qrCode":%q,%s}}`, dot, c.got)
			body = strings.Replace(body, ",}", "}", 1)
			r := compat.Response{Status: 200, Body: []byte(body), Complete: true, At: now}
			report, err := r.SessionReport(op, c.asked, nil)
			e := session.AsEngineError(err)
			if isOther := e != nil && e.Code == "OTHER_SESSION" && e.Kind == session.KindBadResponse; isOther != c.isOther {
				t.Errorf("%s of %+v: %s: %v", op, c.asked, c.got, err)
			}
			if c.isOther && (!report.Image.Empty() || report.Ref != c.asked) {
				t.Errorf("%s of %+v: the report has the other session's %+v", op, c.asked, report.Ref)
			}
		}
	}
}
