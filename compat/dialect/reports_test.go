package dialect_test

import (
	"net/http"
	"testing"
	"time"

	"qrgate/compat"
	"qrgate/compat/dialect"
	"qrgate/compat/evolution"
	"qrgate/compat/gowa"
	"qrgate/compat/waha"
	"qrgate/compat/wuzapi"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Responses of other engines that their users reported, in our own words: what each means to a gateway that sent verb,
// and the cause that its text names. n8n-nodes-waha and easypanel are the integrations' own repositories.
func TestPublicReports(t *testing.T) {
	t.Parallel()
	const code = "2@ref,noise,identity,adv,1"
	evolutionError := func(error, message string) string {
		return `{"status":0,"error":"` + error + `","response":{"message":["` + message + `"]}}`
	}
	for _, c := range []struct {
		report  string
		dialect *dialect.Dialect
		verb    dialect.Verb
		status  int
		body    string
		kind    session.ErrorKind // "": no failed begin
		cause   diagnosis.Code
		code    string
	}{
		{report: "evolution-api#2197, a list of one", dialect: evolution.Dialect, verb: dialect.Connect, status: 200, body: `[{"pairingCode":"FNPG5AYK","code":"` + code + `","count":1}]`, code: code},
		{report: "evolution-api#2216", dialect: evolution.Dialect, verb: dialect.Status, status: 404, body: evolutionError("Not Found", "Cannot GET /instance/connectionState/shop-1"), kind: session.KindBadResponse},
		{report: "evolution-api#1462", dialect: evolution.Dialect, verb: dialect.Status, status: 404, body: evolutionError("Not Found", "The \\\"shop-1\\\" instance does not exist"), kind: session.KindSessionNotFound},
		{report: "evolution-api#1274", dialect: evolution.Dialect, verb: dialect.Connect, status: 500, body: evolutionError("Internal Server Error", "Not allowed by CORS"), kind: session.KindServerError},
		{report: "easypanel#1064, a proxy's text", dialect: evolution.Dialect, verb: dialect.Status, status: 404, body: "404 page not found\n", kind: session.KindBadResponse},
		{report: "an error in a 200", dialect: evolution.Dialect, verb: dialect.Connect, status: 200, body: `{"error":true,"message":"Error: Connection Failure"}`, kind: session.KindServerError},
		{report: "a wrong create", dialect: evolution.Dialect, verb: dialect.Create, status: 400, body: evolutionError("Bad Request", "Invalid integration"), kind: session.KindServerError},
		{report: "waha#469", dialect: waha.Dialect, verb: dialect.QR, status: 401, body: `{"message":"Unauthorized","statusCode":401}`, kind: session.KindKeyRefused},
		{report: "n8n-nodes-waha#6", dialect: waha.Dialect, verb: dialect.Connect, status: 422, body: `{"message":"WAHA Core support only 'default' session. You tried to access 'shop-1' session","error":"Unprocessable Entity","statusCode":422}`, kind: session.KindServerError, cause: diagnosis.SessionLimit},
		{report: "waha#64", dialect: waha.Dialect, verb: dialect.QR, status: 422, body: `{"statusCode":422,"message":"The session under FAILED status. Please try to restart it.","error":"Unprocessable Entity"}`},
		{report: "waha#1969", dialect: waha.Dialect, verb: dialect.Connect, status: 500, body: `{"statusCode":500,"exception":{"message":"Failed to launch the browser process:  Code: null"}}`, kind: session.KindServerError, cause: diagnosis.Engine5xx},
		{report: "wuzapi#40", dialect: wuzapi.Dialect, verb: dialect.QR, status: 500, body: `{"code":500,"error":"Not connected","success":false}`},
		{report: "wuzapi#88", dialect: wuzapi.Dialect, verb: dialect.Connect, status: 500, body: `{"code":500,"error":"Failed to Connect","success":false}`, kind: session.KindServerError},
		{report: "wuzapi#81, before a connect", dialect: wuzapi.Dialect, verb: dialect.Status, status: 500, body: `{"code":500,"error":"No session","success":false}`},
		{report: "Railway, no such application", dialect: evolution.Dialect, verb: dialect.Connect, status: 404, body: `{"status":"error","code":404,"message":"Application not found","request_id":"x"}`, kind: session.KindBadResponse},
		{report: "Railway, no response", dialect: waha.Dialect, verb: dialect.Connect, status: 502, body: `{"status":"error","code":502,"message":"Application failed to respond"}`, kind: session.KindUnreachable},
		{report: "apisix#8906", dialect: wuzapi.Dialect, verb: dialect.Connect, status: 404, body: `{"error_msg":"404 Route Not Found"}`, kind: session.KindBadResponse},
		{report: "Cloudflare's 1020 as JSON", dialect: gowa.Dialect, verb: dialect.Connect, status: 403, body: `{"title":"Error 1020: Access denied","status":403,"cloudflare_error":true}`, kind: session.KindBadResponse},
		{report: "AWS has no such path", dialect: evolution.Dialect, verb: dialect.Connect, status: 403, body: `{"message":"Missing Authentication Token"}`, kind: session.KindBadResponse},
		{report: "a 403 in other words", dialect: waha.Dialect, verb: dialect.Connect, status: 403, body: `{"message":"Trial period is over","statusCode":403}`, kind: session.KindServerError},
		{report: "waha#296", dialect: waha.Dialect, verb: dialect.QR, status: 422, body: `{"statusCode":422,"message":"Can get QR code only in SCAN_QR_CODE status. The current status is 'STARTING'","error":"Unprocessable Entity"}`},
		{report: "evolution-api#1176", dialect: evolution.Dialect, verb: dialect.Connect, status: 500, body: evolutionError("Internal Server Error", "Invalid prisma.$queryRaw() invocation"), kind: session.KindServerError, cause: diagnosis.Engine5xx},
		{report: "evolution-api#1114", dialect: evolution.Dialect, verb: dialect.Connect, status: 500, body: evolutionError("Internal Server Error", "TypeError: Cannot read properties of undefined (reading 'db')"), kind: session.KindServerError},
		{report: "wuzapi, its database is full", dialect: wuzapi.Dialect, verb: dialect.Connect, status: 500, body: `{"code":500,"error":"pq: sorry, too many clients already","success":false}`, kind: session.KindServerError, cause: diagnosis.Engine5xx},
		{report: "gowa#571", dialect: gowa.Dialect, verb: dialect.Connect, status: 400, body: `{"code":"DEVICE_ID_REQUIRED","message":"device_id is required via X-Device-Id header or device_id query","results":null}`, kind: session.KindServerError},
		{report: "gowa#466", dialect: gowa.Dialect, verb: dialect.Connect, status: 500, body: `{"code":"INTERNAL_SERVER_ERROR","message":"err-client-outdated"}`, kind: session.KindServerError, cause: diagnosis.ClientOutdated},
		{report: "gowa#773, a long error", dialect: gowa.Dialect, verb: dialect.Connect, status: 401, body: `{"code":"AUTHENTICATION_ERROR","message":"failed to connect to WhatsApp: couldn't dial whatsapp web websocket: failed to send handshake request: Get https://web.whatsapp.com/ws/chat: dial tcp: lookup web.whatsapp.com on 127.0.0.11:53: server misbehaving"}`, kind: session.KindServerError, cause: diagnosis.DNSFailed},
		{report: "gowa, a device that is not known", dialect: gowa.Dialect, verb: dialect.Status, status: 500, body: `{"code":"INTERNAL_SERVER_ERROR","message":"device shop-1 not found","results":null}`, kind: session.KindSessionNotFound},
		{report: "gowa, the delete of an unpaired device before version 9", dialect: gowa.Dialect, verb: dialect.Delete, status: 500, body: `{"code":"INTERNAL_SERVER_ERROR","message":"purge device shop-1: the store doesn't contain a device JID","results":null}`},
		{report: "gowa, a login that took too long", dialect: gowa.Dialect, verb: dialect.Restart, status: 504, body: `{"code":"GATEWAY_TIMEOUT","message":"Request timed out waiting for WhatsApp server response","results":null}`},
		{report: "gowa, a paired device that is offline", dialect: gowa.Dialect, verb: dialect.Connect, status: 500, body: `{"code":"SESSION_SAVED_ERROR","message":"Your session have been saved, please wait to connect 2 second and refresh again","results":null}`},
		{report: "code-chat#119, a 400 to a poll", dialect: evolution.Dialect, verb: dialect.Status, status: 400, body: `{"status":400,"error":"Bad Request","message":["The \"shop-1\" instance does not exist or is not connected"]}`, kind: session.KindServerError},
		{report: "a 422 to a poll", dialect: waha.Dialect, verb: dialect.Status, status: 422, body: `{"statusCode":422,"message":["session must be a string"],"error":"Unprocessable Entity"}`, kind: session.KindServerError},
		{report: "a 405 to a poll", dialect: evolution.Dialect, verb: dialect.Status, status: 405, body: `{"error":"Method Not Allowed"}`, kind: session.KindBadResponse},
		{report: "gowa, a login without a code in time", dialect: gowa.Dialect, verb: dialect.Connect, status: 504, body: `{"code":"TIMEOUT","message":"timeout waiting for QR","results":null}`, kind: session.KindServerError},
		{report: "whatsmeow#647", dialect: wuzapi.Dialect, verb: dialect.PairingCode, status: 500, body: `{"code":500,"error":"websocket disconnected before info query returned response","success":false}`, kind: session.KindServerError},
		{report: "code-chat#101", dialect: evolution.Dialect, verb: dialect.Connect, status: 401, body: `{"statusCode":401,"error":"Unauthorized","message":"Unauthorized"}`, kind: session.KindKeyRefused},
		{report: "waha#1692", dialect: waha.Dialect, verb: dialect.Connect, status: 500, body: `{"statusCode":500,"exception":{"message":"Maximum execution time is exceeded session_1","name":"Error"}}`, kind: session.KindServerError},
		{report: "n8n#14968", dialect: evolution.Dialect, verb: dialect.Status, status: 400, body: evolutionError("Bad Request", "SessionError: No sessions"), kind: session.KindServerError},
		{report: "a bare 500", dialect: wuzapi.Dialect, verb: dialect.Connect, status: 500, body: "", kind: session.KindServerError},
		{report: "a bare 502", dialect: waha.Dialect, verb: dialect.Connect, status: 502, body: "", kind: session.KindUnreachable},
		{report: "nginx, the engine is down", dialect: gowa.Dialect, verb: dialect.Connect, status: 502, body: "<html><head><title>502 Bad Gateway</title></head></html>", kind: session.KindUnreachable},
		{report: "gowa, no connection to WhatsApp", dialect: gowa.Dialect, verb: dialect.Connect, status: 401, body: `{"code":"AUTHENTICATION_ERROR","message":"Reconnect error","results":null}`, kind: session.KindServerError, cause: diagnosis.NetworkBlocked},
	} {
		o := c.dialect.Outcome(c.verb, compat.Response{Status: c.status, Header: http.Header{}, Body: []byte(c.body), Complete: true})
		e := o.BeginError(time.Now())
		if (e == nil) != (c.kind == "") || o.Session.Code != c.code {
			t.Errorf("%s: %v, code %q", c.report, e, o.Session.Code)
		}
		if e == nil {
			continue
		}
		if p, _ := diagnosis.MatchCause(e.Text + " " + e.Code); e.Kind != c.kind || p.Code != c.cause {
			t.Errorf("%s: %v, %q names %q, want %s %q", c.report, e, e.Text, p.Code, c.kind, c.cause)
		}
		if c.status >= 400 && e.Status != c.status {
			t.Errorf("%s: the evidence has the status %d", c.report, e.Status)
		}
	}
}
