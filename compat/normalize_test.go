package compat_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/compat"
	"qrgate/internal/session"
)

// view is the snapshot of a session.
func view(s session.Session) *session.Snapshot {
	return &session.Snapshot{Session: s, Authorized: true, At: now}
}

// One session's object is completed for every client; qrgate's state wins while it acquires a QR.
func TestNormalize(t *testing.T) {
	t.Parallel()
	code := session.QR{Image: image(t), Sequence: 1, SeenAt: now, ConfirmedAt: now, ExpiresAt: now.Add(time.Minute)}
	bare := "data:image/png;base64," + dot
	connecting := view(session.Session{State: session.Connecting, Ref: session.Ref{ID: 61, Name: "crm-1"}})
	showing := view(session.Session{State: session.AwaitingScan, QR: code})
	stale := view(showing.Session)
	stale.Authorized = false
	for name, c := range map[string]struct {
		in   string
		view *session.Snapshot
		want map[string]any
	}{
		"empty":                       {`{}`, &session.Snapshot{}, map[string]any{"status": "disconnected", "isConnected": false, "hasQR": false, "qrCode": nil, "phoneNumber": nil, "sessionName": nil, "lastActivity": "2025-11-06T06:33:01.429Z"}},
		"both ids from the snapshot":  {`{}`, connecting, map[string]any{"id": int64(61), "sessionId": "crm-1", "status": "connecting"}},
		"the engine's ids win":        {`{"id":7,"sessionId":"own"}`, connecting, map[string]any{"id": int64(7), "sessionId": "own"}},
		"disconnected while it comes": {`{"status":"disconnected","isConnected":false}`, connecting, map[string]any{"status": "connecting", "hasQR": false}},
		"a code in mind":              {`{"status":"disconnected"}`, showing, map[string]any{"status": "qr_code", "hasQR": true, "qrCode": bare, "qrCodeExpiresAt": "2025-11-06T06:34:01.429Z"}},
		"a code not proven":           {`{"status":"disconnected"}`, stale, map[string]any{"status": "disconnected", "hasQR": false, "qrCode": nil}},
		"linked meanwhile":            {`{"status":"connected","isConnected":true}`, showing, map[string]any{"status": "connected", "isConnected": true, "hasQR": false, "qrCode": nil}},
		"numeric booleans":            {`{"status":"connected","isConnected":1,"hasQR":0}`, &session.Snapshot{}, map[string]any{"isConnected": true, "hasQR": false}},
		"a stale row":                 {`{"status":"connected","isConnected":false}`, &session.Snapshot{}, map[string]any{"status": "disconnected", "isConnected": false}},
		"pending with a code":         {`{"status":"pending","qr":"` + dot + `"}`, &session.Snapshot{}, map[string]any{"status": "qr_code", "hasQR": true, "qrCode": bare}},
		"the last activity is null":   {`{"lastActivity":null,"updatedAt":"2025-11-06T06:00:00.000Z"}`, &session.Snapshot{}, map[string]any{"lastActivity": "2025-11-06T06:00:00.000Z"}},
		"the last activity is a date": {`{"lastActivity":"2025-11-06T05:00:00.000Z","updatedAt":"x"}`, &session.Snapshot{}, map[string]any{"lastActivity": "2025-11-06T05:00:00.000Z"}},
		"unknown fields stay":         {`{"userId":1,"x":{"y":[1]}}`, &session.Snapshot{}, map[string]any{"userId": json.Number("1")}},
		"a name that is there":        {`{"sessionName":"Test","phoneNumber":"x"}`, &session.Snapshot{}, map[string]any{"sessionName": "Test", "phoneNumber": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := object(t, c.in)
			before := text(t, in)
			got := compat.Normalize(in, c.view, now)
			for field, want := range c.want {
				if diff := cmp.Diff(want, got[field]); diff != "" {
					t.Errorf("%s\n%s", field, diff)
				}
			}
			if text(t, in) != before {
				t.Error("the engine's object was changed")
			}
		})
	}
}

// The bodies that contain a session, for every shape of the engine's.
func TestNormalizeBodies(t *testing.T) {
	t.Parallel()
	sess := compat.Object{"id": 61, "qrCode": "x"}
	for name, c := range map[string]struct {
		got  compat.Object
		want string
	}{
		"one, from nothing":      {compat.NormalizeSessionBody(nil, sess), `{"data":{"id":61,"qrCode":"x","session":{"id":61,"qrCode":"x"}},"success":true}`},
		"one, extra fields":      {compat.NormalizeSessionBody(object(t, `{"success":1,"message":"m","data":{"id":7,"extra":2,"session":{}}}`), sess), `{"data":{"extra":2,"id":61,"qrCode":"x","session":{"id":61,"qrCode":"x"}},"message":"m","success":true}`},
		"status has no code":     {compat.NormalizeStatusBody(object(t, `{"data":{"session":{}}}`), sess), `{"data":{"id":61},"success":true}`},
		"list, from nothing":     {compat.NormalizeListBody(compat.Object{}, []compat.Object{sess}, 1, 10), `{"data":{"pagination":{"limit":10,"page":1,"pages":1,"total":1},"sessions":[{"id":61,"qrCode":"x"}],"total":1},"success":true}`},
		"list, the engine's":     {compat.NormalizeListBody(object(t, `{"data":{"pagination":{"total":41,"page":3,"limit":20,"pages":3}}}`), nil, 1, 100), `{"data":{"pagination":{"limit":20,"page":3,"pages":3,"total":41},"sessions":null,"total":41},"success":true}`},
		"list, total apart":      {compat.NormalizeListBody(object(t, `{"data":{"total":41}}`), []compat.Object{}, 1, 20), `{"data":{"pagination":{"limit":20,"page":1,"pages":3,"total":41},"sessions":[],"total":41},"success":true}`},
		"moved, from nothing":    {compat.NormalizeActionBody(nil, session.Ref{ID: 61}, "connecting", "m"), `{"data":{"id":61,"sessionId":"61","status":"connecting"},"message":"m","success":true}`},
		"moved, the engine's":    {compat.NormalizeActionBody(object(t, `{"message":"own","data":{"status":"pending","x":1}}`), session.Ref{ID: 61, Name: "crm-1"}, "connecting", "m"), `{"data":{"id":61,"sessionId":"crm-1","status":"connecting","x":1},"message":"own","success":true}`},
		"moved, data is text":    {compat.NormalizeActionBody(object(t, `{"data":"ok"}`), session.Ref{Name: "crm-1"}, "disconnected", "m"), `{"data":{"sessionId":"crm-1","status":"disconnected"},"message":"m","success":true}`},
		"an error, recorded":     {compat.NormalizeErrorBody(object(t, `{"success":false,"error":"E","code":"C","timestamp":"2025-11-06T06:33:01.429Z"}`), 400, now), `{"code":"C","error":"E","message":"E","success":false,"timestamp":"2025-11-06T06:33:01Z"}`},
		"an error, one word":     {compat.NormalizeErrorBody(object(t, `{"message":"M","details":{"field":"x"}}`), 404, now), `{"code":"SESSION_NOT_FOUND","details":{"field":"x"},"error":"M","message":"M","success":false,"timestamp":"2025-11-06T06:33:01Z"}`},
		"an error, no word":      {compat.NormalizeErrorBody(nil, 403, now), `{"code":"AUTHORIZATION_FAILED","error":"The engine refused the request.","message":"The engine refused the request.","success":false,"timestamp":"2025-11-06T06:33:01Z"}`},
		"an error of Baileys'":   {compat.NormalizeErrorBody(object(t, `{"statusCode":428,"error":"Precondition Required","message":"Connection Closed"}`), 428, now), `{"code":"CONNECTION_ERROR","error":"Connection Closed","message":"Connection Closed","statusCode":428,"success":false,"timestamp":"2025-11-06T06:33:01Z"}`},
		"Baileys#211":            {compat.NormalizeErrorBody(object(t, `{"name":"BaileysError","status":408,"context":{"status":408}}`), 408, now), `{"code":"CONNECTION_ERROR","context":{"status":408},"error":"BaileysError","message":"BaileysError","name":"BaileysError","status":408,"success":false,"timestamp":"2025-11-06T06:33:01Z"}`},
		"an error of WhatsApp's": {compat.NormalizeErrorBody(object(t, `{"statusCode":401,"error":"Unauthorized","message":"Connection Failure"}`), 401, now), `{"code":"CONNECTION_ERROR","error":"Connection Failure","message":"Connection Failure","statusCode":401,"success":false,"timestamp":"2025-11-06T06:33:01Z"}`},
		"an error, odd values":   {compat.NormalizeErrorBody(object(t, `{"success":true,"error":7,"code":401,"timestamp":1}`), 401, now), `{"code":"INVALID_API_KEY","error":"The engine refused the request.","message":"The engine refused the request.","success":false,"timestamp":"2025-11-06T06:33:01Z"}`},
	} {
		if got := text(t, c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}
