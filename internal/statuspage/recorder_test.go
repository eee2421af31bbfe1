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

// look is a call for a session that ended in a fault, "" for none.
func look(flight string, at time.Time, fault session.ErrorKind) session.Event {
	return session.Event{Kind: session.EventEngineCall, At: at, Duration: 40 * time.Millisecond, Session: "crm-" + flight, AcquisitionID: "tenant/" + flight, Op: session.OpQR, ErrorKind: fault, Traffic: session.UserTraffic}
}

func journey(flight string, at time.Time, out session.Outcome, why diagnosis.Code) session.Event {
	return session.Event{Kind: session.EventAcquisition, At: at, Duration: 60 * time.Second, Session: "crm-" + flight, AcquisitionID: "tenant/" + flight, Outcome: out, Diagnosis: why, Attempt: 24, Traffic: session.UserTraffic}
}

func state(flight string, at time.Time, from, to session.State) session.Event {
	return session.Event{Kind: session.EventState, At: at, Session: "crm-" + flight, AcquisitionID: "tenant/" + flight, From: from, To: to, Diagnosis: diagnosis.None, Traffic: session.UserTraffic}
}

func after(s float64) time.Time { return before(-s) }

// What keeps sessions from their QR, from the events that pass by.
func TestRecorder_Causes(t *testing.T) {
	t.Parallel()
	failing := look("a", noon, session.KindServerError)
	failing.Status, failing.Code = 500, "QR_BROKEN"
	again := failing
	again.At = after(12)
	hold := session.Event{Kind: session.EventWait, At: noon, Duration: 9 * time.Second, Session: "crm-a", AcquisitionID: "tenant/a", Outcome: session.Failure, Diagnosis: diagnosis.QRNotEmitted, To: session.Connecting}
	synthetic := journey("p", noon, session.Failure, diagnosis.EngineTimeout)
	synthetic.Traffic = session.SyntheticTraffic
	for name, c := range map[string]struct {
		events []session.Event
		want   []string
	}{
		"nothing":                      {nil, nil},
		"one failed call is chance":    {[]session.Event{failing}, nil},
		"two are not":                  {[]session.Event{failing, again}, []string{"engine_5xx 1/0 qr: server_error, HTTP 500 QR_BROKEN, 2× in 12 s [crm-a]"}},
		"not ready is an answer":       {[]session.Event{look("a", noon, session.KindNotReady), look("a", after(1), session.KindNotReady)}, nil},
		"an answer in between":         {[]session.Event{failing, look("a", after(1), session.KindNotReady), again}, nil},
		"a journey that failed":        {[]session.Event{journey("a", noon, session.Failure, diagnosis.WhatsAppSilent)}, []string{"whatsapp_silent 1/0 no QR in 1 min and 24 polls [crm-a]"}},
		"what the heart says wins":     {[]session.Event{failing, again, journey("a", after(13), session.Failure, diagnosis.ClientOutdated)}, []string{"client_outdated 1/0 qr: server_error, HTTP 500 QR_BROKEN, 2× in 12 s [crm-a]"}},
		"a hold in vain":               {[]session.Event{hold}, []string{"qr_not_emitted 1/0 a request waited 9.0 s without a QR, the session is connecting [crm-a]"}},
		"a code makes it good":         {[]session.Event{hold, {Kind: session.EventQR, At: after(1), AcquisitionID: "tenant/a"}}, nil},
		"a state makes it good":        {[]session.Event{hold, state("a", after(1), session.Connecting, session.AwaitingScan)}, nil},
		"another session does not":     {[]session.Event{hold, state("b", after(1), session.Connecting, session.AwaitingScan)}, []string{"qr_not_emitted 1/0 a request waited 9.0 s without a QR, the session is connecting [crm-a]"}},
		"a client who left":            {[]session.Event{journey("a", noon, session.Failure, diagnosis.ClientGone)}, nil},
		"a probe's has no name":        {[]session.Event{synthetic}, []string{"engine_timeout 1/1 no QR in 1 min and 24 polls []"}},
		"most sessions first":          {[]session.Event{hold, journey("b", noon, session.Failure, diagnosis.DNSFailed), journey("c", noon, session.Failure, diagnosis.DNSFailed)}, []string{"dns_failed 2/0 no QR in 1 min and 24 polls [crm-c crm-b]", "qr_not_emitted 1/0 a request waited 9.0 s without a QR, the session is connecting [crm-a]"}},
		"without news it is forgotten": {[]session.Event{journey("a", before(881), session.Failure, diagnosis.DNSFailed)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r statuspage.Recorder
			for _, e := range c.events {
				r.Observe(e)
			}
			var got []string
			for _, cause := range r.Snapshot(after(20)).Causes {
				got = append(got, fmt.Sprintf("%s %d/%d %s %v", cause.Code, cause.Sessions, cause.Probes, cause.Evidence, cause.Labels))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

// The engine is up, down, or nobody knows.
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
	r.Observe(look("a", noon, session.KindNotReady))
	r.Observe(look("a", after(1), ""))
	at(statuspage.EngineUp, noon)
	r.Observe(look("a", after(2), session.KindUnreachable))
	r.Observe(look("a", after(3), session.KindTimeout))
	at(statuspage.EngineDown, after(2))
	r.Observe(look("a", after(4), session.KindCanceled))
	at(statuspage.EngineDown, after(2))
	proxied := look("a", after(5), session.KindBadResponse)
	proxied.Status = 502
	r.Observe(proxied)
	at(statuspage.EngineDown, after(2))
	r.Observe(look("a", after(6), session.KindServerError))
	at(statuspage.EngineUp, after(6))
	s := r.Snapshot(after(7))
	want := map[string]int{"ok": 1, "not_ready": 1, "unreachable": 1, "timeout": 1, "canceled": 1, "bad_response": 1, "server_error": 1}
	if diff := cmp.Diff(want, s.Engine.Answers); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
	if s.Engine.Last == nil || s.Engine.Last.Class != "server_error" || len(s.Changes) != 2 || s.Changes[0].To != "up" {
		t.Errorf("%+v %+v", s.Engine.Last, s.Changes)
	}
}

// What leaves the recorder is masked already.
func TestRecorder_MasksNames(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	for _, e := range []session.Event{journey("5550100123", noon, session.Failure, diagnosis.DNSFailed), state("5550100123", noon, session.Created, session.Connecting), look("5550100123", noon, session.KindServerError)} {
		e.Code = "E5550100123"
		r.Observe(e)
		r.Observe(e)
	}
	s := r.Snapshot(after(1))
	if all := fmt.Sprintf("%+v %+v", s, *s.Engine.Last); strings.Contains(all, "5550100") || strings.Count(all, "•••23") < 6 {
		t.Error(all)
	}
}

// A busy fleet does not push the store's loss out of sight.
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
		t.Errorf("the store is so since %v", s.Store.Since)
	}
}

// Probes that walk every few seconds do not push out what happened to clients, and are told apart.
func TestRecorder_ProbesDoNotDisplaceClients(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	r.Observe(state("a", noon, session.Connecting, session.AwaitingScan))
	r.Observe(journey("a", noon, session.Success, diagnosis.None))
	for i := range 500 {
		probe, moved := journey("p", after(float64(i+1)), session.Success, diagnosis.None), state("p", after(float64(i+1)), session.Created, session.Connecting)
		probe.Traffic, moved.Traffic = session.SyntheticTraffic, session.SyntheticTraffic
		r.Observe(probe)
		r.Observe(moved)
	}
	s := r.Snapshot(after(600))
	if n := len(s.Journeys); n != 11 || s.Journeys[10].Label != "crm-a" || !s.Journeys[0].At.Equal(after(500)) {
		t.Errorf("%d journeys: %+v", n, s.Journeys)
	}
	if n := len(s.Changes); n != 11 || s.Changes[10].Label != "crm-a" || s.Changes[10].Origin != session.UserTraffic || s.Changes[0].Origin != session.SyntheticTraffic {
		t.Errorf("%d changes: %+v", n, s.Changes)
	}
	_, page := serve(t, s, "/status")
	if text := outline(page); !strings.Contains(text, "session crm-a : connecting") || strings.Index(text, "crm-a : connecting") > strings.Index(text, "a probe’s session") {
		t.Error(text)
	}
}

// The look at the engine's health counts before the first call for a session, and between two.
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
	r.Observe(look("a", after(7), session.KindNotReady))
	if e := r.Snapshot(after(9)).Engine; e.State != statuspage.EngineUp || !e.Since.Equal(after(7)) {
		t.Errorf("%+v", e)
	}
}

// The newest journeys are kept, the newest first.
func TestRecorder_KeepsNewestAcquisitions(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	for i := range 70 {
		r.Observe(journey(fmt.Sprint(i), after(float64(i)), session.Success, diagnosis.None))
	}
	all := r.Snapshot(after(70)).Journeys
	if len(all) != 50 || all[0].Label != "crm-69" || all[49].Label != "crm-20" || all[0].Code != "" || all[0].Seconds != 60 {
		t.Errorf("%d journeys from %+v to %+v", len(all), all[0], all[len(all)-1])
	}
}

// Whatever it is fed, it keeps less than two megabytes: a hundred thousand sessions fail, each with a
// name as long as may be.
func TestRecorder_MemoryIsBounded(t *testing.T) {
	var before, later runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := &statuspage.Recorder{}
	long := strings.Repeat("x", 94)
	for i := range 100_000 {
		name := fmt.Sprintf("%s%06d", long, i)
		r.Observe(look(name, noon, session.KindServerError))
		r.Observe(journey(name, noon, session.Failure, diagnosis.Engine5xx))
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

// It is fed and read at once; the race detector watches.
func TestRecorder_ConcurrentUse(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 300 {
				name := fmt.Sprint(i*1000 + k)
				r.Observe(look(name, noon, session.KindTimeout))
				r.Observe(journey(name, noon, session.Failure, diagnosis.EngineTimeout))
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
