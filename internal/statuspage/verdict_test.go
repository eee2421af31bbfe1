package statuspage_test

import (
	"strings"
	"testing"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
	"qrgate/probes"
)

// Each case changes a healthy snapshot.
func TestJudge_FirstProblem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*statuspage.Snapshot)
		level  string
		code   diagnosis.Code
		title  string // a part of it; empty: the title of the diagnosis
		since  float64
	}{
		"healthy":      {func(*statuspage.Snapshot) {}, "ok", "", "QRs are delivered", 3303.7},
		"just started": {func(s *statuspage.Snapshot) { *s = quiet() }, "unknown", "", "No QR was requested yet", 3700},
		"no recent request": {func(s *statuspage.Snapshot) {
			s.Probes = nil
			s.Acquisitions = []statuspage.Acquisition{{At: before(5000), Outcome: session.Success}}
		}, "unknown", "", "No QR was requested recently", 5000},
		"the engine is down": {func(s *statuspage.Snapshot) {
			s.Engine.State, s.Engine.Cause, s.Engine.Since = statuspage.EngineDown, diagnosis.EngineUnreachable, before(42)
		}, "failing", diagnosis.EngineUnreachable, "", 42},
		"the engine is up, and no more is known": {func(s *statuspage.Snapshot) {
			*s = quiet()
			s.Engine.State = statuspage.EngineUp
		}, "unknown", "", "No QR was requested yet", 3700},
		"WhatsApp unreachable":                  {func(s *statuspage.Snapshot) { *s = shut() }, "failing", diagnosis.DNSFailed, "", 600},
		"WhatsApp unreachable long ago":         {func(s *statuspage.Snapshot) { *s = shut(); s.WhatsApp.At = before(1000) }, "unknown", "", "No QR was requested yet", 3700},
		"WhatsApp unreachable, and a QR before": {func(s *statuspage.Snapshot) { *s = shut(); s.Acquisitions = healthy().Acquisitions[:1] }, "failing", diagnosis.DNSFailed, "", 600},
		"WhatsApp unreachable, and a QR since": {func(s *statuspage.Snapshot) {
			*s = shut()
			s.Acquisitions, s.WhatsApp.At = healthy().Acquisitions[:1], before(21)
		}, "ok", "", "QRs are delivered", 20},
		"WhatsApp unreachable from here, with an engine elsewhere": {func(s *statuspage.Snapshot) { *s = shut(); s.Engine.Kind = statuspage.EngineHTTP }, "unknown", "", "No QR was requested yet", 3700},
		"the engine times out": {func(s *statuspage.Snapshot) {
			s.Engine.State, s.Engine.Cause, s.Engine.Since = statuspage.EngineDown, diagnosis.EngineTimeout, before(42)
		}, "failing", diagnosis.EngineTimeout, "", 42},
		"no probe without Redis": {func(s *statuspage.Snapshot) {
			s.Store = statuspage.Store{Kind: "redis", State: "degraded", Since: before(700)}
			r := s.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.RedisUnavailable, ""), failed("y", before(309), diagnosis.RedisUnavailable, "")
		}, "degraded", diagnosis.RedisUnavailable, "", 700},
		"the probe's key is wrong, and clients get their QR": {func(s *statuspage.Snapshot) {
			r := s.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.KeyRefused, ""), failed("y", before(309), diagnosis.KeyRefused, "")
		}, "degraded", diagnosis.KeyRefused, "", 309},
		"the probe's key is wrong, and no client has a QR": {func(s *statuspage.Snapshot) {
			s.Acquisitions = nil
			r := s.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.KeyRefused, ""), failed("y", before(309), diagnosis.KeyRefused, "")
		}, "failing", diagnosis.KeyRefused, "", 309},
		"a probe that failed here, and runs at another replica now": {func(s *statuspage.Snapshot) {
			p := &s.Probes[2]
			p.Elsewhere, p.Runs[0], p.Runs[1] = true, failed("x", before(5000), diagnosis.DNSFailed, ""), failed("y", before(5300), diagnosis.DNSFailed, "")
		}, "ok", "", "QRs are delivered", -2},
		"it runs elsewhere, and no request here": {func(s *statuspage.Snapshot) {
			*s = quiet()
			s.Probes = []statuspage.Probe{{Name: "create_connect_qr", Every: 300, Elsewhere: true}}
		}, "unknown", "", "No QR was requested yet", 3700},
		"one probe failed once": {func(s *statuspage.Snapshot) {
			s.Probes[2].Runs[0] = failed("x", before(9), diagnosis.DNSFailed, "no such host")
		}, "degraded", diagnosis.DNSFailed, "", 9},
		"one probe failed twice": {func(s *statuspage.Snapshot) {
			r := s.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.DNSFailed, ""), failed("y", before(309), diagnosis.DNSFailed, "")
		}, "failing", diagnosis.DNSFailed, "", 309},
		"a run without a result is no success": {func(s *statuspage.Snapshot) {
			r := s.Probes[2].Runs
			r[0], r[1], r[2] = failed("x", before(9), diagnosis.DNSFailed, ""), probes.Result{Outcome: session.Abandoned, StartedAt: before(100)}, failed("y", before(309), diagnosis.DNSFailed, "")
		}, "failing", diagnosis.DNSFailed, "", 309},
		"a probe that works again": {func(s *statuspage.Snapshot) {
			s.Probes[2].Runs[1] = failed("y", before(309), diagnosis.DNSFailed, "")
		}, "ok", "", "QRs are delivered", 230},
		"a probe does not run": {func(s *statuspage.Snapshot) {
			for i := range s.Probes[0].Runs {
				s.Probes[0].Runs[i].StartedAt = before(100 + float64(i))
			}
		}, "degraded", diagnosis.Undetermined, "The probe engine_health does not run", 100},
		"customers who do not scan": {func(s *statuspage.Snapshot) {
			for i := range s.Acquisitions[:6] {
				s.Acquisitions[i].Outcome, s.Acquisitions[i].Code = session.Failure, diagnosis.QRExpired
			}
			s.Causes = []statuspage.Cause{cause(6, before(60), before(3), diagnosis.QRExpired, "")}
		}, "ok", "", "QRs are delivered", 3303.7},
		"a failed acquisition, and successes since": {func(s *statuspage.Snapshot) {
			s.Acquisitions[3].Outcome, s.Acquisitions[3].Code = session.Failure, diagnosis.QRNotEmitted
		}, "ok", "", "QRs are delivered", 90},
		"one session": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{cause(1, before(60), before(3), diagnosis.Engine5xx, "")}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"one session without a request": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{cause(1, before(60), before(40), diagnosis.Engine5xx, "")}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"one session, and no active session": {func(s *statuspage.Snapshot) {
			s.Sessions, s.Waiters = nil, 0
			s.Causes = []statuspage.Cause{cause(1, before(60), before(9), diagnosis.Engine5xx, "")}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"many sessions, while others get a QR": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{cause(4, before(60), before(3), diagnosis.Engine5xx, "")}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"many sessions, and no other": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{cause(4, before(3), before(1), diagnosis.Engine5xx, "")}
		}, "failing", diagnosis.Engine5xx, "", 3},
		"Redis unavailable": {func(s *statuspage.Snapshot) {
			s.Store = statuspage.Store{Kind: "redis", State: "degraded", Since: before(33)}
		}, "degraded", diagnosis.RedisUnavailable, "", 33},
		"almost full": {func(s *statuspage.Snapshot) { s.Waiters = 4600 }, "degraded", diagnosis.EngineOverloaded, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := healthy()
			c.change(&s)
			v := statuspage.Judge(s)
			if c.title == "" {
				c.title = diagnosis.New(c.code).Title
			}
			if v.Level != c.level || v.Code != c.code || !strings.Contains(v.Title, c.title) {
				t.Errorf("want %s %s %q: %+v", c.level, c.code, c.title, v)
			}
			if c.since >= 0 && v.Since.Sub(before(c.since)).Abs() > time.Microsecond || c.since == -1 && !v.Since.IsZero() {
				t.Errorf("since %v, want %v", v.Since, before(c.since))
			}
			if v.Affected == "" || v.Why == "" || v.Who == "" || v.Also == nil || v.Code != "" && v.Help == "" {
				t.Errorf("incomplete: %+v", v)
			}
		})
	}
}

func TestJudge_WorstProblemIsFirst(t *testing.T) {
	t.Parallel()
	s := healthy()
	s.Store = statuspage.Store{Kind: "redis", State: "degraded", Since: before(33)}
	s.Waiters = 5000
	s.Causes = []statuspage.Cause{cause(4, before(3), before(1), diagnosis.ClientOutdated, "")}
	v := statuspage.Judge(s)
	if v.Level != "failing" || v.Code != diagnosis.ClientOutdated || len(v.Also) != 2 {
		t.Errorf("%+v", v)
	}
	if !strings.Contains(v.Help, "update") || v.Who != diagnosis.Operator {
		t.Errorf("what to do is %q by %q", v.Help, v.Who)
	}
}

// With any number of problems the verdict stays short.
func TestJudge_ManyProblemsAreLimited(t *testing.T) {
	t.Parallel()
	s := broken()
	for _, c := range diagnosis.Codes() {
		s.Causes = append(s.Causes, cause(1000, before(60), before(3), c, ""))
	}
	v := statuspage.Judge(s)
	if len(v.Also) != 6 || !strings.Contains(strings.Join(v.Also, "\n"), "(1000 sessions)") {
		t.Errorf("%q", v.Also)
	}
	s.Causes = nil
	if v = statuspage.Judge(s); len(v.Also) < 1 || !strings.Contains(strings.Join(v.Also, "\n"), "Redis cannot be reached (") {
		t.Errorf("%q", v.Also)
	}
}

// The affected users are those who wait, or else those who got no QR.
func TestJudge_Affected(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*statuspage.Snapshot){
		"All users; 2 sessions wait":                                  func(s *statuspage.Snapshot) { s.Sessions = map[session.State]int{session.Connecting: 2} },
		"All users; no session waits, 1 session got no QR in 15 min":  func(*statuspage.Snapshot) {},
		"All users; no session waits, 4 sessions got no QR in 15 min": func(s *statuspage.Snapshot) { s.Causes[0].Sessions = 4 },
		"All users; no session waits, 0 sessions got no QR in 15 min": func(s *statuspage.Snapshot) { s.Causes[0].Code = diagnosis.QRExpired },
	} {
		s := gone()
		change(&s)
		if v := statuspage.Judge(s); v.Affected != want || v.Level != statuspage.LevelFailing {
			t.Errorf("want %q: %+v", want, v)
		}
	}
	s := healthy()
	s.Causes = []statuspage.Cause{cause(1, before(150), before(120), diagnosis.Engine5xx, "")}
	if v := statuspage.Judge(s); v.Affected != "1 session, last request 2 min ago" {
		t.Errorf("%+v", v)
	}
}

// An engine that a health check found down is explained by that check's evidence, and named once.
func TestJudge_EvidenceOfAnotherProblem(t *testing.T) {
	t.Parallel()
	s := healthy()
	s.Engine.State, s.Engine.Cause = statuspage.EngineDown, diagnosis.EngineTimeout
	s.Probes[0].Runs[0] = failed("x", before(3), diagnosis.EngineTimeout, "GET /health: no response in time")
	if v := statuspage.Judge(s); v.Code != diagnosis.EngineTimeout || v.Why != "Probe engine_health failed 1 time: GET /health: no response in time" || len(v.Also) != 0 {
		t.Errorf("%+v", v)
	}
}
