package clienttest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/clienttest"
	"qrgate/internal/test/enginesim"
)

// How long each client waits for a response of /qr: with a wait just below that it gets its QR, just above it does not.
func TestClients_SurviveWaitingRequests(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		client clienttest.Client
		limit  time.Duration
	}{
		"create_session":            {clienttest.CreateSession, 15 * time.Second},
		"test_rapido_final":         {clienttest.SimRapidoFinal, 10 * time.Second},
		"quick_test_baileys_fix":    {clienttest.QuickTestBaileysFix, 10 * time.Second},
		"test_correct_qr_flow":      {clienttest.TestCorrectQRFlow, 30 * time.Second},
		"test_session_flow_updated": {clienttest.TestSessionFlowUpdated, 30 * time.Second},
		"baileys_issue_analysis":    {clienttest.BaileysIssueAnalysis, 30 * time.Second},
		"quick_qr_debug":            {clienttest.QuickQRDebug, 5 * time.Second},
		"diagnose_qr_issue":         {clienttest.DiagnoseQRIssue, 30 * time.Second},
		"debug_qr_issue":            {clienttest.DebugQRIssue, 10 * time.Second},
		"fix_qr_generation":         {clienttest.FixQRGeneration, 10 * time.Second},
	}
	for name, test := range tests {
		short := run(t, test.client, &enginesim.Engine{QRLatency: test.limit - 100*time.Millisecond})
		long := run(t, test.client, &enginesim.Engine{QRLatency: test.limit + 100*time.Millisecond})
		if !short.GotQR || long.GotQR {
			t.Errorf("%s: a QR below its limit %v, above it %v", name, short.GotQR, long.GotQR)
		}
	}
	if !run(t, clienttest.GSClass, &enginesim.Engine{QRLatency: 10 * time.Minute}).GotQR {
		t.Error("gs_class does not wait for ever")
	}
}

// Which statuses of a create and a connect each script takes (C2).
func TestScripts_AcceptedResponses(t *testing.T) {
	t.Parallel()
	takes200 := map[string]bool{
		"create_session": true, "wizard": true, "session_status": true, "diagnose_qr_issue": true,
		"fix_qr_generation": true, "test_session_flow_updated": true, "baileys_issue_analysis": true, "gs_class": true,
	}
	asksUnconnected := map[string]bool{
		"create_session": true, "test_session_flow_updated": true, "baileys_issue_analysis": true,
		"fix_qr_generation": true, // it restarts
	}
	for _, c := range clienttest.All() {
		h := replaceRoute(&enginesim.Engine{}, "/api/sessions", say(200, `{"success":true,"data":{"id":1,"session":{"id":1}}}`))
		if r := run(t, c.Run, h); (r.Requests() > 1 && len(times(r, "connect"))+len(times(r, "limit=200")) > 0) != takes200[c.Name] {
			t.Errorf("%s: a create with 200, and then %d requests", c.Name, r.Requests())
		}
		if c.Name == "wizard" || c.Name == "session_status" {
			continue
		}
		r := run(t, c.Run, &enginesim.Engine{ConnectFailures: -1})
		if asked := len(times(r, "/qr")) > 0; asked != asksUnconnected[c.Name] {
			t.Errorf("%s: asks without a connect: %v", c.Name, asked)
		}
	}
}

func TestDiagnose_StopsAtLimit(t *testing.T) {
	t.Parallel()
	limited := func(max int) *enginesim.Engine {
		return &enginesim.Engine{Limits: enginesim.Limits{Sessions: enginesim.Limit{Max: max, Window: time.Minute}}}
	}
	refusing := func(lists int) *enginesim.Engine {
		return &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{
			enginesim.RouteList: {Kind: enginesim.TooMany, First: lists},
		}}
	}
	tests := map[string]struct {
		engine *enginesim.Engine
		want   string
	}{
		"429 on the first list": {refusing(1), "qr"},
		"429 on a quick list":   {refusing(2), "abort"},
		"enough for the lists":  {limited(8), "qr"},
		"the state error":       {&enginesim.Engine{ErrorInsteadOfQR: true}, "abort"},
		"a key that is refused": {&enginesim.Engine{Keys: map[string]string{"other": "a"}}, "abort"},
		"no code within 30 s":   {&enginesim.Engine{QRDelay: 31 * time.Second}, "abort"},
		"a code at 24 s":        {&enginesim.Engine{QRDelay: 24 * time.Second}, "qr"},
	}
	for name, test := range tests {
		if got := outcome(run(t, clienttest.DiagnoseQRIssue, test.engine)); got != test.want {
			t.Errorf("%s: ends with %s, want %s", name, got, test.want)
		}
	}
}

func TestFix_DeletesAndTriesEveryMethod(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{ConnectFailures: 2}
	bubble(t, engine, func(t *testing.T, at clienttest.Target) {
		for i := range 7 {
			body := strings.NewReader(`{"sessionId":"old-` + string(rune('a'+i)) + `","sessionName":"x"}`)
			request, _ := http.NewRequestWithContext(t.Context(), "POST", at.Base+"/api/sessions", body)
			request.Header.Set("X-API-Key", "key-a")
			request.Header.Set("Content-Type", "application/json")
			response, err := at.HTTP.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
		}
		r := clienttest.FixQRGeneration(t.Context(), at)
		if !r.GotQR || engine.CountSince(enginesim.RouteDelete, time.Time{}) != 5 ||
			engine.CountSince(enginesim.RouteConnect, time.Time{}) != 2 || engine.CountSince(enginesim.RouteRestart, time.Time{}) != 1 {
			t.Errorf("ended with %s after %+v", outcome(r), r.Steps)
		}
	})
	if got := outcome(run(t, clienttest.FixQRGeneration, &enginesim.Engine{ErrorInsteadOfQR: true})); got != "abort" {
		t.Errorf("in state error it ends with %s", got)
	}
}

func TestGSClass_ReadsSuccessAndMessage(t *testing.T) {
	t.Parallel()
	h := replaceRoute(&enginesim.Engine{}, "/qr", say(503, `{"success":false,"message":"wait a little"}`))
	if r := run(t, clienttest.GSClass, h); r.Err == nil || !strings.Contains(r.Err.Error(), "wait a little") {
		t.Errorf("ends with %v", r.Err)
	}
	h = replaceRoute(&enginesim.Engine{}, "/qr", say(500, `{"success":true,"data":{"qrCode":"code"}}`))
	if r := run(t, clienttest.GSClass, h); r.QR != "code" {
		t.Errorf("success with 500 gives %q", r.QR)
	}
	if got := outcome(run(t, clienttest.GSClass, &enginesim.Engine{NumericIDsOnly: true})); got != "abort" {
		t.Errorf("where string ids are unknown it ends with %s", got)
	}
}

func TestWatchers(t *testing.T) {
	t.Parallel()
	dead := &enginesim.Engine{ErrorInsteadOfQR: true}
	if r := run(t, clienttest.GSMonitor, dead); r.Err != nil || r.Linked || len(times(r, "/status")) != 1 {
		t.Errorf("the monitor of an error ends with %v after %d looks", r.Err, len(times(r, "/status")))
	}
	bubble(t, &enginesim.Engine{}, func(t *testing.T, at clienttest.Target) {
		ctx, cancel := context.WithTimeout(t.Context(), 62*time.Second)
		defer cancel()
		if r := clienttest.GSMonitor(ctx, at); r.Err == nil || len(times(r, "/status")) != 12 {
			t.Errorf("the monitor of a code ends with %v after %d looks", r.Err, len(times(r, "/status")))
		}
	})
	pending := map[enginesim.Phase]string{enginesim.Showing: "pending"}
	for _, bare := range []bool{false, true} {
		r := run(t, clienttest.GSDashboard, &enginesim.Engine{States: pending, BareBase64: bare})
		if !r.GotQR || r.Broken == bare {
			t.Errorf("bare %v: the dashboard has a QR %v, broken %v", bare, r.GotQR, r.Broken)
		}
	}
}
