package statuspage_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
)

// call is a call for a session that ended in an error, "" for none.
func call(id string, at time.Time, kind session.ErrorKind) session.Event {
	return session.Event{Kind: session.EventEngineCall, At: at, Duration: 40 * time.Millisecond, Session: "crm-" + id, AcquisitionID: "tenant/" + id, Op: session.OpQR, ErrorKind: kind, Traffic: session.UserTraffic}
}

func acquisition(id string, at time.Time, out session.Outcome, why diagnosis.Code) session.Event {
	return session.Event{Kind: session.EventAcquisition, At: at, Duration: 60 * time.Second, Session: "crm-" + id, AcquisitionID: "tenant/" + id, Outcome: out, Diagnosis: why, Attempt: 24, To: session.Failed, Traffic: session.UserTraffic}
}

func state(id string, at time.Time, from, to session.State) session.Event {
	return session.Event{Kind: session.EventState, At: at, Session: "crm-" + id, AcquisitionID: "tenant/" + id, From: from, To: to, Diagnosis: diagnosis.None, Traffic: session.UserTraffic}
}

func after(s float64) time.Time { return before(-s) }

// The causes of missing QRs follow from the events of the sessions.
func TestRecorder_Causes(t *testing.T) {
	t.Parallel()
	event := func(kind session.EventKind, e session.Event) session.Event {
		e.Kind, e.At, e.Session, e.AcquisitionID = kind, noon, "crm-a", "tenant/a"
		return e
	}
	failing := event(session.EventEngineCall, session.Event{Op: session.OpQR, ErrorKind: session.KindServerError, Status: 500, Code: "QR_BROKEN"})
	named := event(session.EventCause, session.Event{Op: session.OpQR, ErrorKind: session.KindServerError, Status: 500, Code: "QR_BROKEN", Diagnosis: diagnosis.Engine5xx, To: session.Connecting})
	wait := event(session.EventWait, session.Event{Duration: 9 * time.Second, Outcome: session.Failure, Diagnosis: diagnosis.QRNotEmitted, To: session.Connecting})
	waited := "qr_not_emitted 1 no QR in 9.0 s, the session is connecting [crm-a]"
	synthetic := acquisition("p", noon, session.Failure, diagnosis.EngineTimeout)
	synthetic.Traffic = session.SyntheticTraffic
	for name, c := range map[string]struct {
		events []session.Event
		want   []string
	}{
		"nothing":                       {nil, nil},
		"failed calls alone":            {[]session.Event{failing, failing}, nil},
		"a cause with a failed call":    {[]session.Event{named}, []string{"engine_5xx 1 qr: server_error, HTTP 500 QR_BROKEN [crm-a]"}},
		"the cause is none":             {[]session.Event{named, event(session.EventCause, session.Event{Diagnosis: diagnosis.None})}, nil},
		"the engine responds again":     {[]session.Event{wait, failing, call("a", after(1), session.KindNotReady)}, []string{waited}},
		"a failed acquisition":          {[]session.Event{acquisition("a", noon, session.Failure, diagnosis.WhatsAppSilent)}, []string{"whatsapp_silent 1 no QR in 1 min, the session is failed [crm-a]"}},
		"the latest diagnosis":          {[]session.Event{wait, failing, acquisition("a", after(13), session.Failure, diagnosis.ClientOutdated)}, []string{"client_outdated 1 qr: server_error, HTTP 500 QR_BROKEN [crm-a]"}},
		"a wait without a QR":           {[]session.Event{wait}, []string{waited}},
		"a QR resolves it":              {[]session.Event{wait, {Kind: session.EventQR, At: after(1), AcquisitionID: "tenant/a"}}, nil},
		"a state resolves it":           {[]session.Event{wait, state("a", after(1), session.Connecting, session.AwaitingScan)}, nil},
		"an abandoned one is resolved":  {[]session.Event{wait, acquisition("a", after(1), session.Abandoned, diagnosis.ClientGone)}, nil},
		"another session does not":      {[]session.Event{wait, state("b", after(1), session.Connecting, session.AwaitingScan)}, []string{waited}},
		"a client who left":             {[]session.Event{acquisition("a", noon, session.Failure, diagnosis.ClientGone)}, nil},
		"a probe reports by its result": {[]session.Event{synthetic}, nil},
		"most sessions first":           {[]session.Event{wait, acquisition("b", noon, session.Failure, diagnosis.DNSFailed), acquisition("c", noon, session.Failure, diagnosis.DNSFailed)}, []string{"dns_failed 2 no QR in 1 min, the session is failed [crm-b crm-c]", waited}},
		"without events it expires":     {[]session.Event{acquisition("a", before(881), session.Failure, diagnosis.DNSFailed)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r statuspage.Recorder
			for _, e := range c.events {
				r.Observe(e)
			}
			var got []string
			for _, cause := range r.Snapshot(after(20)).Causes {
				got = append(got, fmt.Sprintf("%s %d %s %v", cause.Code, cause.Sessions, strings.Join(cause.Evidence, ", "), cause.Labels))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

// The engine is up, down or unknown.
func TestRecorder_EngineState(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	now := noon
	at := func(want string, since time.Time) {
		t.Helper()
		if e := r.Snapshot(now).Engine; e.State != want || !e.Since.Equal(since) {
			t.Errorf("%s since %v, want %s since %v", e.State, e.Since, want, since)
		}
	}
	at(statuspage.EngineUnknown, time.Time{})
	r.Observe(call("a", noon, session.KindNotReady))
	r.Observe(call("a", after(1), ""))
	at(statuspage.EngineUp, noon)
	r.Observe(call("a", after(2), session.KindUnreachable))
	r.Observe(call("a", after(3), session.KindTimeout))
	at(statuspage.EngineDown, after(2))
	r.Observe(call("a", after(4), session.KindCanceled))
	at(statuspage.EngineDown, after(2))
	proxied := call("a", after(5), session.KindBadResponse)
	proxied.Status = 502
	r.Observe(proxied)
	at(statuspage.EngineDown, after(2))
	r.Observe(call("a", after(6), session.KindServerError))
	at(statuspage.EngineUp, after(6))
	s := r.Snapshot(after(7))
	want := map[string]int{"ok": 1, "not_ready": 1, "unreachable": 1, "timeout": 1, "canceled": 1, "bad_response": 1, "server_error": 1}
	if diff := cmp.Diff(want, s.Engine.Responses); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	if s.Engine.Last == nil || s.Engine.Last.Class != "server_error" || len(s.Changes) != 2 || s.Changes[0].To != "up" {
		t.Errorf("%+v %+v", s.Engine.Last, s.Changes)
	}
}

// The recorder masks names, and codes of the engine.
func TestRecorder_MasksNames(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	for _, e := range []session.Event{acquisition("5550100123", noon, session.Failure, diagnosis.DNSFailed), state("5550100123", noon, session.Created, session.Connecting), call("5550100123", noon, session.KindServerError)} {
		e.Code = "E5550100123"
		r.Observe(e)
		r.Observe(e)
	}
	s := r.Snapshot(after(1))
	if all := fmt.Sprintf("%+v %+v", s, *s.Engine.Last); strings.Contains(all, "5550100") || strings.Count(all, "•••23") < 5 {
		t.Error(all)
	}
	r.Observe(state("\u202egnissap", after(1), session.Created, session.Connecting))
	if text := fmt.Sprint(r.Snapshot(after(2)).Changes); strings.Contains(text, "\u202e") {
		t.Error("a name changes the direction of the text")
	}
}

// Many changes of sessions do not displace those of the engine and the store.
func TestRecorder_SystemChangesAreKept(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	r.Observe(session.Event{Kind: session.EventStore, At: noon})
	r.Observe(session.Event{Kind: session.EventDecryptFailed, At: noon})
	for i := range 500 {
		r.Observe(state(fmt.Sprint(i), after(float64(i+1)), session.Created, session.Connecting))
	}
	s := r.Snapshot(after(600))
	if len(s.Changes) != 32 || s.Changes[0].Label != "crm-499" || s.Changes[31].About != "store" && s.Changes[30].About != "store" {
		t.Errorf("%d changes: %+v", len(s.Changes), s.Changes)
	}
	if !s.Store.Since.Equal(noon) {
		t.Errorf("the store is degraded since %v", s.Store.Since)
	}
}

// Events of probes' sessions are not recorded: the probes report by their results.
func TestRecorder_IgnoresSessionsOfProbes(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	r.Observe(state("a", noon, session.Connecting, session.AwaitingScan))
	r.Observe(acquisition("a", noon, session.Success, diagnosis.None))
	for i := range 500 {
		ended, changed := acquisition("p", after(float64(i+1)), session.Success, diagnosis.None), state("p", after(float64(i+1)), session.Created, session.Connecting)
		ended.Traffic, changed.Traffic = session.SyntheticTraffic, session.SyntheticTraffic
		r.Observe(ended)
		r.Observe(changed)
	}
	s := r.Snapshot(after(600))
	if len(s.Acquisitions) != 1 || s.Acquisitions[0].Label != "crm-a" || len(s.Changes) != 1 || s.Changes[0].Label != "crm-a" {
		t.Errorf("%+v %+v", s.Acquisitions, s.Changes)
	}
}

// The engine's health check counts before the first call for a session, and between two.
func TestRecorder_HealthChecksSetEngineState(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	for i, c := range []struct {
		why  diagnosis.Code
		want string
	}{
		{diagnosis.Internal, statuspage.EngineUnknown}, {diagnosis.None, statuspage.EngineUp}, {diagnosis.EngineUnreachable, statuspage.EngineDown},
		{diagnosis.Internal, statuspage.EngineDown}, {diagnosis.Engine5xx, statuspage.EngineUp}, {diagnosis.EngineTimeout, statuspage.EngineDown},
	} {
		r.Health(after(float64(i)), c.why)
		if got := r.Snapshot(after(9)).Engine.State; got != c.want {
			t.Errorf("after %s it is %s, want %s", c.why, got, c.want)
		}
	}
	r.Observe(call("a", after(7), session.KindNotReady))
	if e := r.Snapshot(after(9)).Engine; e.State != statuspage.EngineUp || !e.Since.Equal(after(7)) {
		t.Errorf("%+v", e)
	}
}

// The newest acquisitions are kept, the newest first.
func TestRecorder_KeepsNewestAcquisitions(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	for i := range 70 {
		r.Observe(acquisition(fmt.Sprint(i), after(float64(i)), session.Success, diagnosis.None))
	}
	all := r.Snapshot(after(70)).Acquisitions
	if len(all) != 50 || all[0].Label != "crm-69" || all[49].Label != "crm-20" || all[0].Code != diagnosis.None || all[0].Seconds != 60 {
		t.Errorf("%d acquisitions from %+v to %+v", len(all), all[0], all[len(all)-1])
	}
}

// After a hundred thousand failed sessions with names of the maximal length it keeps less than two megabytes.
func TestRecorder_MemoryIsBounded(t *testing.T) {
	var before, later runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := &statuspage.Recorder{}
	long := strings.Repeat("x", 94)
	for i := range 100_000 {
		name := fmt.Sprintf("%s%06d", long, i)
		r.Observe(call(name, noon, session.KindServerError))
		r.Observe(acquisition(name, noon, session.Failure, diagnosis.Engine5xx))
		r.Observe(state(name, noon, session.Connecting, session.Failed))
	}
	runtime.GC()
	runtime.ReadMemStats(&later)
	if grown := int64(later.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
		t.Errorf("it keeps %d kB", grown>>10)
	}
	causes := r.Snapshot(after(1)).Causes
	if len(causes) != 1 || causes[0].Sessions != 2000 || len(causes[0].Labels) != 5 {
		t.Errorf("%+v", causes)
	}
	runtime.KeepAlive(r)
}

// Events and reads are concurrent, for the race detector.
func TestRecorder_ConcurrentUse(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 300 {
				name := fmt.Sprint(i*1000 + k)
				r.Observe(call(name, noon, session.KindTimeout))
				r.Observe(acquisition(name, noon, session.Failure, diagnosis.EngineTimeout))
				r.Observe(state(name, noon, session.Connecting, session.Failed))
				r.Observe(session.Event{Kind: session.EventStore, At: noon, Available: k%2 == 0})
			}
		})
		wg.Go(func() {
			for range 30 {
				s := r.Snapshot(after(1))
				serve(t, s, "/status")
			}
		})
	}
	wg.Wait()
	if causes := r.Snapshot(after(1)).Causes; len(causes) != 1 || causes[0].Sessions != 1200 {
		t.Errorf("%+v", causes)
	}
}

// The evidence has the reason why the engine cannot be reached.
func TestRecorder_EvidenceHasReason(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Observe(session.Event{Kind: session.EventEngineCall, At: at, Session: "shop-1", AcquisitionID: "a/1", Op: session.OpQR, ErrorKind: session.KindUnreachable, Reason: "connection refused"})
	s := r.Snapshot(at.Add(time.Second))
	if s.Engine.Last == nil || !strings.Contains(s.Engine.Last.Text, "(connection refused)") {
		t.Errorf("the last call: %+v", s.Engine.Last)
	}
	r.Observe(session.Event{Kind: session.EventAcquisition, At: at.Add(time.Second), Session: "shop-1", AcquisitionID: "a/1", Outcome: session.Failure, Diagnosis: diagnosis.EngineUnreachable, Op: session.OpQR, ErrorKind: session.KindUnreachable, Reason: "connection refused"})
	s = r.Snapshot(at.Add(2 * time.Second))
	if len(s.Causes) != 1 || !strings.Contains(s.Causes[0].Evidence[0], "qr: unreachable (connection refused)") {
		t.Errorf("the evidence: %+v", s.Causes)
	}
}
