package statuspage_test

import (
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
)

// Whoever is woken reads on the page why the engine cannot be reached, beside what is broken.
func TestRecorder_EvidenceHasReason(t *testing.T) {
	t.Parallel()
	var r statuspage.Recorder
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.Observe(session.Event{Kind: session.EventEngineCall, At: at, Session: "shop-1", AcquisitionID: "a/1", Op: session.OpQR, ErrorKind: session.KindUnreachable, Reason: "connection refused"})
	s := r.Snapshot(at.Add(time.Second))
	if s.Engine.Last == nil || s.Engine.Last.Why != "connection refused" {
		t.Errorf("the last call: %+v", s.Engine.Last)
	}
	if len(s.Causes) != 0 && !strings.Contains(s.Causes[0].Evidence, "(connection refused)") {
		t.Errorf("the evidence: %+v", s.Causes)
	}
	r.Observe(session.Event{Kind: session.EventAcquisition, At: at.Add(time.Second), Session: "shop-1", AcquisitionID: "a/1", Outcome: session.Failure, Diagnosis: diagnosis.EngineUnreachable})
	s = r.Snapshot(at.Add(2 * time.Second))
	if len(s.Causes) != 1 || !strings.Contains(s.Causes[0].Evidence, "qr: unreachable (connection refused)") {
		t.Errorf("the evidence: %+v", s.Causes)
	}
}

// What another replica runs is not shown as a failure of today.
func TestPage_ProbeOnOtherReplica(t *testing.T) {
	t.Parallel()
	s := healthy()
	s.Probes.Probes[2].Runs[0] = failed("x", before(5000), diagnosis.DNSFailed, "no such host")
	s.Probes.Probes[2].Elsewhere = true
	_, page := serve(t, s, "/status")
	if text := outline(page); !strings.Contains(text, "create_connect_qr ○ runs at another replica") {
		t.Error(text)
	}
}
