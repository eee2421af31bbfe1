package compat_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Responses that users of public engines reported, in our own words. ready is a QR; otherwise kind and state are what
// the response means, and cause is what its text names.
func TestPublicReports(t *testing.T) {
	t.Parallel()
	otherQR := dataURL(code("https://example.com/login", 4, 4, untouched))
	const code = "2@ref,noise,identity,adv,1"
	picture := pictures()
	url := func(kind string) string {
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(picture[kind])
	}
	screenshot := dataURL(painted(300, func(x, y int) bool { return x%40 == 0 || y%60 < 3 }))
	page := func(title string) string { return "<!DOCTYPE html><title>" + title + "</title><h1>x</h1>" }
	for _, c := range []struct {
		report string // whatsapp-api-nodejs is salman0ansari's, whatsapp-api is chrishubert's
		status int
		body   string
		ready  bool
		kind   session.ErrorKind
		state  session.State
		cause  diagnosis.Code
	}{
		{report: "whatsapp-api-nodejs#321", status: 200, body: `{"error":false,"message":"QR fetched","qrcode":""}`, kind: session.KindNotReady},
		{report: "whatsapp-api-nodejs#80", status: 200, body: `{"error":false,"message":"QR fetched","qrcode":null}`, kind: session.KindNotReady},
		{report: "whatsapp-api-nodejs#80, blank", status: 200, body: `{"error":false,"qrcode":" "}`, kind: session.KindNotReady},
		{report: "whatsapp-api-nodejs#19", status: 500, body: `{"error":true,"message":"Unexpected status in 'admin': Too Many Requests(429)"}`, kind: session.KindServerError, cause: diagnosis.WhatsAppUnavailable},
		{report: "Baileys#434", status: 200, body: `{"success":false,"error":"close reason: Unexpected status in 'Conn': Too Many Requests(429)"}`, kind: session.KindNotReady, cause: diagnosis.WhatsAppUnavailable},
		{report: "go-whatsapp-web-multidevice#423", status: 500, body: `{"code":"INTERNAL_SERVER_ERROR","message":"info query returned status 429: rate-overlimit"}`, kind: session.KindServerError, cause: diagnosis.WhatsAppUnavailable},
		{report: "waha#237", status: 200, body: string(picture["image/png"]), ready: true},
		{report: "whatsapp-chatwoot#1", status: 200, body: string(picture["image/jpeg"]), ready: true},
		{report: "waha#177, raw", status: 200, body: fmt.Sprintf(`{"value":%q}`, code), ready: true},
		{report: "waha#177, base64", status: 200, body: `{"mimetype":"image/jpeg","data":"` + base64.RawStdEncoding.EncodeToString(picture["image/jpeg"]) + `"}`, ready: true},
		{report: "waha#177, text", status: 200, body: code + "\n", ready: true},
		{report: "waha#164", status: 422, body: `{"statusCode":422,"message":"The session is in the FAILED status. Please restart it.","error":"Unprocessable Entity"}`, kind: session.KindNotReady},
		{report: "waha#2117", status: 422, body: `{"error":"Session status is not as expected. Try again later","session":"s","status":"FAILED","expected":["SCAN_QR_CODE"]}`, kind: session.KindNotReady, state: session.Failed},
		{report: "waha#1690", status: 422, body: `{"error":"Session status is not as expected","session":"s","status":"STARTING"}`, kind: session.KindNotReady, state: session.Connecting},
		{report: "waha#1502", status: 429, body: page("Error: Request limit exceeded."), kind: session.KindRateLimited},
		{report: "wppconnect-server#1190", status: 500, body: `{"status":"error","message":"Error retrieving QRCode","error":{"level":"error"}}`, kind: session.KindServerError},
		{report: "wppconnect#2344", status: 200, body: `{"status":"INITIALIZING","qrcode":null,"version":"2.4.2","session":"s"}`, kind: session.KindNotReady, state: session.Connecting},
		{report: "wppconnect#2344, paired", status: 200, body: `{"status":"CONNECTED","qrcode":"undefined"}`, state: session.Connected},
		{report: "whatsapp-api#138", status: 200, body: fmt.Sprintf(`{"success":true,"qr":%q}`, code), ready: true},
		{report: "whatsapp-api#106", status: 200, body: `{"success":false,"message":"qr not ready or scanned already"}`, kind: session.KindNotReady},
		{report: "go-whatsapp-rest-api#4", status: 500, body: `"error decoding the response: cannot unmarshal an array"`, kind: session.KindBadResponse},
		{report: "go-whatsapp-multidevice-rest#15", status: 200, body: `{"status":true,"code":200,"message":"Success"}`, kind: session.KindNotReady},
		{report: "whatsapp-web.js#49036", status: 200, body: `{"success":true,"data":{"qrCode":"null"}}`, kind: session.KindBadResponse, cause: diagnosis.QRInvalid},
		{report: "wa-automate-nodejs#113", status: 200, body: `{"qr":"Loading QR"}`, kind: session.KindBadResponse, cause: diagnosis.QRInvalid},
		{report: "wa-automate-nodejs#3074", status: 202, body: ``, kind: session.KindNotReady},
		{report: "whatsapp-api-nodejs, linked", status: 200, body: `{"success":true,"message":"Already connected"}`, kind: session.KindAlreadyPaired},
		{report: "Super-Light-Web-WhatsApp-API-Server#2", status: 200, body: `{"status":"connected","sessionId":"s"}`, state: session.Connected},
		{report: "ookamiiixd/baileys-api#75", status: 200, body: `{"success":true,"data":{"status":"authenticated"}}`, state: session.Connected},
		{report: "wuzapi#81", status: 200, body: `{"code":200,"data":{"Connected":true,"LoggedIn":false},"success":true}`, kind: session.KindNotReady},
		{report: "a plan's limit", status: 403, body: `{"message":"Instance limit reached for your plan"}`, kind: session.KindServerError, cause: diagnosis.SessionLimit},
		{report: "whatsmiau#107, as JSON text", status: 200, body: fmt.Sprintf("%q", url("image/png")), ready: true},
		{report: "a data URL as the body", status: 200, body: url("image/png"), ready: true},
		{report: "base64 as the body", status: 200, body: base64.StdEncoding.EncodeToString(picture["image/png"]), ready: true},
		{report: "the code as JSON text", status: 200, body: fmt.Sprintf("%q", code), ready: true},
		{report: "go-whatsapp-multidevice-rest#86, a page", status: 200, body: page("Scan") + `<img src="` + url("image/jpeg") + `">`, ready: true},
		{report: "a page with a logo", status: 200, body: page("Scan") + `<img src="` + screenshot + `">`, kind: session.KindBadResponse},
		{report: "a list of one", status: 200, body: fmt.Sprintf(`[{"qrCode":%q,"sessionId":"s"}]`, code), ready: true},
		{report: "data is a list of one", status: 200, body: fmt.Sprintf(`{"success":true,"data":[{"qrCode":%q}]}`, code), ready: true},
		{report: "wppconnect, response", status: 200, body: fmt.Sprintf(`{"status":"success","response":{"qrcode":%q}}`, code), ready: true},
		{report: "gowa, results", status: 200, body: fmt.Sprintf(`{"code":"SUCCESS","results":{"qr_code":%q}}`, code), ready: true},
		{report: "whatsapp-web-api#1, result", status: 200, body: fmt.Sprintf(`{"success":true,"result":{"qr":%q}}`, code), ready: true},
		{report: "evolution-go#148, code", status: 200, body: fmt.Sprintf(`{"message":"success","data":{"Code":%q}}`, code), ready: true},
		{report: "data.qrString", status: 200, body: fmt.Sprintf(`{"success":true,"data":{"qrString":%q}}`, code), ready: true},
		{report: "data.qrCodeImage", status: 200, body: fmt.Sprintf(`{"success":true,"data":{"qrCodeImage":%q}}`, url("image/gif")), ready: true},
		{report: "data.image", status: 200, body: fmt.Sprintf(`{"success":true,"data":{"image":%q}}`, url("image/png")), ready: true},
		{report: "a profile picture", status: 200, body: fmt.Sprintf(`{"success":true,"data":{"image":%q,"qrCode":null}}`, screenshot), kind: session.KindNotReady},
		{report: "chatwoot's address", status: 200, body: `{"success":true,"data":{"qrCodeUrl":"http://0.0.0.0:3000/rails/qr.png"}}`, kind: session.KindNotReady},
		{report: "Baileys#1238, payload", status: 405, body: `{"statusCode":405,"error":"Method Not Allowed","message":"Connection Failure"}`, kind: session.KindNotReady, cause: diagnosis.ClientOutdated},
		{report: "Baileys#1238, status alone", status: 405, body: `{"success":false,"error":"Connection Failure"}`, kind: session.KindNotReady, cause: diagnosis.ClientOutdated},
		{report: "Baileys#1238, the whole error", status: 500, body: `{"success":false,"error":{"data":{"reason":"405","location":"vll"},"isBoom":true,"output":{"statusCode":405,"payload":{"statusCode":405,"error":"Method Not Allowed","message":"Connection Failure"},"headers":{}}}}`, kind: session.KindServerError, cause: diagnosis.ClientOutdated},
		{report: "Baileys#1238, lastDisconnect", status: 500, body: `{"success":false,"code":"QR_GENERATION_ERROR","error":"QR no disponible","lastDisconnect":{"error":{"data":{"reason":"405"},"isBoom":true,"output":{"statusCode":405,"payload":{"statusCode":405,"error":"Method Not Allowed","message":"Connection Failure"}}},"date":"2025-02-04T02:24:13.471Z"}}`, kind: session.KindNotReady, cause: diagnosis.ClientOutdated},
		{report: "Baileys#2381", status: 401, body: `{"statusCode":401,"error":"Unauthorized","message":"Connection Failure"}`, kind: session.KindServerError, cause: diagnosis.LoggedOut},
		{report: "Baileys#1336", status: 401, body: `{"statusCode":401,"error":"Unauthorized","message":"Stream Errored"}`, kind: session.KindServerError, cause: diagnosis.LoggedOut},
		{report: "Baileys#482", status: 403, body: `{"statusCode":403,"error":"Forbidden","message":"Connection Failure"}`, kind: session.KindServerError, cause: diagnosis.AccountBanned},
		{report: "Baileys#502", status: 440, body: `{"statusCode":440,"error":"Unknown","message":"Stream Errored (conflict)"}`, kind: session.KindNotReady, cause: diagnosis.SessionConflict},
		{report: "Baileys#812", status: 428, body: `{"statusCode":428,"error":"Precondition Required","message":"Connection Closed"}`, kind: session.KindNotReady},
		{report: "Baileys#1490, 411", status: 411, body: `{"statusCode":411,"error":"Length Required","message":"Connection Failure"}`, kind: session.KindNotReady},
		{report: "a gateway's own 405", status: 405, body: `{"message":"Method Not Allowed"}`, kind: session.KindBadResponse},
		{report: "a numeric code", status: 500, body: `{"success":false,"code":405,"message":"Connection Failure"}`, kind: session.KindServerError, cause: diagnosis.ClientOutdated},
		{report: "an engine's own 500", status: 500, body: `{"statusCode":500,"message":"Connection Failure"}`, kind: session.KindServerError},
		{report: "whatsapp-api#329, LiteSpeed", status: 408, body: page("Request Timeout"), kind: session.KindTimeout},
		{report: "waha#1835, another API", status: 404, body: `{"message":"Cannot GET /api/sessions/default/qr","error":"Not Found","statusCode":404}`, kind: session.KindBadResponse},
		{report: "wapi-custom-notifier#1", status: 200, body: `{"success":false,"error":"session_not_connected"}`, kind: session.KindNotReady},
		{report: "whatsapp-web.js#52605", status: 200, body: `{"success":true,"qr":"undefined,hp+aGiU1V8pUzEA5=,mGUDw6AwC+U4=,oSmob7xHdM=,1"}`, kind: session.KindBadResponse, cause: diagnosis.QRInvalid},
		{report: "OpenWA#740, the engine's own time-out", status: 504, body: `{"statusCode":504,"message":"WhatsApp Web did not become ready. Check the proxy, the network or the firewall.","error":"Gateway Timeout"}`, kind: session.KindServerError},
		{report: "OpenWA#740, a gateway's", status: 504, body: `{"message":"Endpoint request timed out"}`, kind: session.KindTimeout},
		{report: "Railway, no such application", status: 404, body: `{"status":"error","code":404,"message":"Application not found","request_id":"x"}`, kind: session.KindBadResponse},
		{report: "Railway, no response", status: 502, body: `{"status":"error","code":502,"message":"Application failed to respond"}`, kind: session.KindUnreachable},
		{report: "apisix#8906", status: 404, body: `{"error_msg":"404 Route Not Found"}`, kind: session.KindBadResponse},
		{report: "apisix#4754", status: 404, body: `{"error_msg":"failed to match any routes"}`, kind: session.KindBadResponse},
		{report: "a route of Fastify", status: 404, body: `{"message":"Route GET:/api/sessions/s/qr not found","error":"Not Found","statusCode":404}`, kind: session.KindBadResponse},
		{report: "a route of Laravel", status: 404, body: `{"message":"The route api/sessions/s/qr could not be found."}`, kind: session.KindBadResponse},
		{report: "a route of ASP.NET", status: 404, body: `{"Message":"No HTTP resource was found that matches the request URI '/api/sessions/s/qr'."}`, kind: session.KindBadResponse},
		{report: "a route of Spring", status: 404, body: `{"status":404,"error":"Not Found","message":"No static resource api/sessions/s/qr."}`, kind: session.KindBadResponse},
		{report: "an error of ASP.NET", status: 500, body: `{"Message":"QR is not available yet"}`, kind: session.KindNotReady},
		{report: "AWS has no such path", status: 403, body: `{"message":"Missing Authentication Token"}`, kind: session.KindBadResponse},
		{report: "Cloudflare's 1020 as JSON", status: 403, body: `{"title":"Error 1020: Access denied","status":403,"error_code":1020,"ray_id":"x","cloudflare_error":true}`, kind: session.KindBadResponse},
		{report: "Cloudflare's 1033 as JSON", status: 530, body: `{"title":"Error 1033: Tunnel error","status":530,"cloudflare_error":true}`, kind: session.KindUnreachable},
		{report: "green-api's state of an unpaired instance", status: 403, body: `{"message":"Instance in state notAuthorized"}`, kind: session.KindServerError},
		{report: "a 403 about an address", status: 403, body: `{"error":"IP address not allowed"}`, kind: session.KindServerError},
		{report: "a 403 about CSRF", status: 403, body: `{"message":"CSRF token mismatch"}`, kind: session.KindServerError},
		{report: "a 403 in other words", status: 403, body: `{"error":"Number blocked by WhatsApp"}`, kind: session.KindServerError},
		{report: "a 401 about a licence", status: 401, body: `{"error":"License expired"}`, kind: session.KindServerError},
		{report: "MyZap2.0#2", status: 401, body: `{"error":"Sessão não informada."}`, kind: session.KindServerError},
		{report: "a 401 about no session", status: 401, body: `{"statusCode":401,"error":"Unauthorized","message":"Session not found"}`, kind: session.KindSessionNotFound},
		{report: "a 401 about a phone", status: 401, body: `{"error":"UNAUTHORIZED","message":"The device is not linked"}`, kind: session.KindServerError},
		{report: "a 401 about a session's key", status: 401, body: `{"error":"Unauthorized","message":"Invalid token for session s"}`, kind: session.KindKeyRefused},
		{report: "ultramsg#12", status: 401, body: `{"error":"instance is not authenticated yet"}`, kind: session.KindServerError},
		{report: "ultramsg#12, as a 403", status: 403, body: `{"error":"instance is not authenticated yet"}`, kind: session.KindServerError},
		{report: "nganu#6", status: 500, body: `{"error":"Unknown DisconnectReason: undefined|close"}`, kind: session.KindServerError},
		{report: "a 401 in other words", status: 401, body: `{"error":"no"}`, kind: session.KindKeyRefused},
		{report: "a 403 in Spanish", status: 403, body: `{"error":"No tiene permisos"}`, kind: session.KindKeyRefused},
		{report: "an error with the code", status: 503, body: fmt.Sprintf(`{"success":false,"message":"WhatsApp is not ready, scan the QR","qr":%q}`, code), ready: true},
		{report: "a 401 with the code", status: 401, body: fmt.Sprintf(`{"error":"Not authenticated","data":{"qr":%q}}`, code), ready: true},
		{report: "an error with an old code", status: 410, body: fmt.Sprintf(`{"error":"QR expired","qr":%q}`, code), kind: session.KindNotReady},
		{report: "two envelopes", status: 200, body: fmt.Sprintf(`{"success":true,"response":{"data":{"qr":%q}}}`, code), ready: true},
		{report: "qr in qr", status: 200, body: fmt.Sprintf(`{"qr":{"qr":{"code":%q}}}`, code), ready: true},
		{report: "JSON in a JSON string", status: 200, body: fmt.Sprintf("%q", fmt.Sprintf(`{"qr":%q}`, code)), ready: true},
		{report: "whatsmeow's list of codes", status: 200, body: fmt.Sprintf(`[%q,"2@next,noise,identity,adv,1"]`, code), ready: true},
		{report: "a list of sessions", status: 200, body: fmt.Sprintf(`[{"id":7,"qr":%q},{"id":8}]`, code), kind: session.KindBadResponse},
		{report: "baileys-api, qrcode is null", status: 500, body: `{"error":"qrcode is null"}`, kind: session.KindNotReady},
		{report: "OpenWA, not started", status: 500, body: `{"message":"Session is not started"}`, kind: session.KindNotReady},
		{report: "OpenWA, restarting", status: 503, body: `{"message":"Session is restarting"}`, kind: session.KindNotReady},
		{report: "WhatsApp's limit, by its words", status: 500, body: `{"error":"WhatsApp: too many requests, try later"}`, kind: session.KindServerError},
		{report: "WhatsApp's limit, as the status", status: 429, body: `{"statusCode":429,"error":"Too Many Requests","message":"Connection Failure"}`, kind: session.KindNotReady},
		{report: "whatsapp-api-nodejs#19, the error itself", status: 429, body: `{"name":"BaileysError","status":429,"context":{"query":["admin","Conn","reref"],"message":"Too Many Requests","status":429}}`, kind: session.KindNotReady},
		{report: "Baileys#211", status: 500, body: `{"error":{"name":"BaileysError","status":408,"context":{"status":408}}}`, kind: session.KindServerError},
		{report: "a Boom of 429", status: 429, body: `{"error":{"isBoom":true,"output":{"statusCode":429,"payload":{"statusCode":429,"error":"Too Many Requests","message":"Too Many Requests"}}}}`, kind: session.KindNotReady},
		{report: "a Boom of 401", status: 401, body: `{"isBoom":true,"output":{"statusCode":401,"payload":{"statusCode":401,"error":"Unauthorized","message":"Intentional Logout"}}}`, kind: session.KindServerError},
		{report: "the engine's limit", status: 500, body: `{"error":"Rate limit exceeded"}`, kind: session.KindRateLimited},
		{report: "Baileys' node of a failure", status: 500, body: `{"error":{"tag":"failure","attrs":{"reason":"405","location":"rva"}}}`, kind: session.KindServerError, cause: diagnosis.ClientOutdated},
		{report: "Baileys' node of a stream error", status: 500, body: `{"error":{"tag":"stream:error","attrs":{"code":"515"}}}`, kind: session.KindServerError},
		{report: "the same, of a logout", status: 500, body: `{"message":"closed","error":{"tag":"stream:error","attrs":{"code":"401"}}}`, kind: session.KindServerError},
		{report: "green-api, linked", status: 200, body: `{"stateInstance":"authorized"}`, state: session.Connected},
		{report: "green-api, not linked", status: 200, body: `{"stateInstance":"notAuthorized"}`, kind: session.KindNotReady},
		{report: "wabot-aq#548, a picture of another QR", status: 200, body: fmt.Sprintf(`{"qr":%q}`, otherQR), kind: session.KindBadResponse, cause: diagnosis.QRInvalid},
		{report: "whats2api#35", status: 401, body: `{"status":false,"err":"Wrong token authentication"}`, kind: session.KindKeyRefused},
		{report: "whats2api#35, as a 500", status: 500, body: `{"status":false,"err":"Wrong token authentication"}`, kind: session.KindServerError},
		{report: "whatsapp-api#118", status: 403, body: `{"success":false,"error":"Invalid API key"}`, kind: session.KindKeyRefused},
		{report: "felipeDS91/whatsapp-api#6", status: 200, body: `{"status":"FROM_DISCONNECTED"}`, kind: session.KindNotReady},
		{report: "venom#794", status: 200, body: `{"status":"desconnectedMobile"}`, kind: session.KindNotReady, state: session.Disconnected},
		{report: "ha-wa-bridge#23, blanks in the code", status: 200, body: `{"qr":"2@ref, noise, identity, adv, 1"}`, kind: session.KindBadResponse, cause: diagnosis.QRInvalid},
		{report: "whatsapp-web.js#3072", status: 500, body: `{"error":"EBUSY: resource busy or locked, unlink '.wwebjs_auth/session/lockfile'"}`, kind: session.KindServerError},
		{report: "wuzapi#80", status: 500, body: `{"code":500,"error":"websocket not connected","success":false}`, kind: session.KindNotReady},
		{report: "matterbridge#1181", status: 500, body: `{"error":"failed to restore session: admin login responded with 419"}`, kind: session.KindServerError},
		{report: "mautrix#873", status: 500, body: `{"error":"bad-credentials"}`, kind: session.KindServerError},
		{report: "Baileys#1622", status: 500, body: `{"error":"session timeout"}`, kind: session.KindServerError},
		{report: "n8n#14968, about Signal sessions", status: 500, body: `{"status":500,"error":"Internal Server Error","response":{"message":["SessionError: No sessions"]}}`, kind: session.KindServerError},
		{report: "wppconnect#2605", status: 200, body: fmt.Sprintf(`{"status":"QRCODE","qr_url":"http://10.0.0.5/qr.png","urlcode":%q}`, code), ready: true},
		{report: "wppconnect#2605, its address alone", status: 200, body: `{"status":"QRCODE","qr_url":"http://10.0.0.5/qr.png","urlcode":""}`, kind: session.KindNotReady},
		{report: "fresco#2148, a line break in the data URL", status: 200, body: fmt.Sprintf(`{"qr":%q}`, strings.Replace(url("image/png"), ",", ",\n", 1)), ready: true},
		{report: "green-api#481", status: 504, body: page("504 Gateway Time-out"), kind: session.KindTimeout},
		{report: "not ready, in Indonesian", status: 500, body: `{"error":"Sesi belum siap"}`, kind: session.KindNotReady},
		{report: "authenticated", status: 200, body: `{"success":false,"message":"Session is authenticated"}`, kind: session.KindAlreadyPaired},
		{report: "not authenticated", status: 200, body: `{"success":false,"message":"Session is not authenticated"}`, kind: session.KindNotReady},
		{report: "evolution-go#85", status: 200, body: `{"message":"success","data":{"Qrcode":"","Code":""}}`, kind: session.KindNotReady},
	} {
		r := compat.Response{Status: c.status, Header: headers(""), Body: []byte(c.body), Complete: true, At: now}
		var err error
		if e := r.EngineError(session.OpQR); e != nil {
			err = e
		}
		report, err := r.SessionReport(session.OpQR, session.Ref{ID: 1}, err)
		isState := c.state == "" || report.State == c.state
		if session.KindOf(err) != c.kind || !isState || report.Image.Empty() == c.ready {
			t.Errorf("%s: %v, state %q, QR %t; want %q, %q, %t",
				c.report, err, report.State, !report.Image.Empty(), c.kind, c.state, c.ready)
		}
		if e := session.AsEngineError(err); e != nil {
			if p, _ := diagnosis.MatchCause(e.Text + " " + e.Code); p.Code != c.cause {
				t.Errorf("%s: %q names %q, want %q", c.report, e.Text, p.Code, c.cause)
			}
		}
		if c.ready {
			if text, err := compat.ReadQR(report.Image); err != nil || !strings.HasPrefix(text.Reveal(), "2@") {
				t.Errorf("%s: the QR is not readable: %v", c.report, err)
			}
		}
	}
	// waha#129: a picture of the whole page, without a QR in it.
	image, err := compat.NormalizeQRImage(screenshot)
	if _, readErr := compat.ReadQR(image); err != nil || readErr == nil {
		t.Errorf("waha#129: %v, read %v", err, readErr)
	}
}

// An error without a message is the engine's, unless it has another status than 500, which is WhatsApp's.
func TestEngineError_StatusOfWhatsAppBlamesNobody(t *testing.T) {
	t.Parallel()
	for body, isOwn := range map[string]bool{
		`{"status":401}`: false, `{"status":500}`: true, `{}`: true, `{"status":"error"}`: true,
		`{"error":"{\"status\":\"fail\",\"reason\":\"blocked\"}"}`: false, // yowsup#1256
	} {
		e := compat.Response{Status: 500, Header: headers(""), Body: []byte(body), Complete: true}.EngineError(session.OpQR)
		if e == nil || diagnosis.IsOwnFault(e.Text) != isOwn {
			t.Errorf("%s: %v", body, e)
		}
	}
}
