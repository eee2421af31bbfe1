package statuspage_test

import (
	"strings"
	"testing"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
)

// Each case changes a healthy snapshot.
func TestJudge_FirstProblem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(*statuspage.Snapshot)
		level    string
		code     diagnosis.Code
		sentence string // a part of it; empty: the title of the diagnosis
		since    float64
	}{
		"healthy":      {func(*statuspage.Snapshot) {}, "ok", "", "QRs are delivered.", 3305},
		"just started": {func(s *statuspage.Snapshot) { *s = quiet() }, "unknown", "", "No QR was requested yet.", 3700},
		"nobody asks": {func(s *statuspage.Snapshot) {
			s.Probes.Probes = nil
			s.Journeys = []statuspage.Journey{{At: before(5000), Outcome: session.Success}}
		}, "unknown", "", "No QR was requested recently.", 5000},
		"the engine is down": {func(s *statuspage.Snapshot) {
			s.Engine.State, s.Engine.Since = statuspage.EngineDown, before(42)
		}, "failing", diagnosis.EngineUnreachable, "", 42},
		"the engine is up, and no more is known": {func(s *statuspage.Snapshot) {
			*s = quiet()
			s.Engine.State = statuspage.EngineUp
		}, "unknown", "", "No QR was requested yet.", 3700},
		"no way to WhatsApp":         {func(s *statuspage.Snapshot) { *s = shut() }, "failing", diagnosis.DNSFailed, "", 600},
		"no way, as it was long ago": {func(s *statuspage.Snapshot) { *s = shut(); s.WhatsApp.At = before(1000) }, "unknown", "", "No QR was requested yet.", 3700},
		"no way, and a QR before":    {func(s *statuspage.Snapshot) { *s = shut(); s.Journeys = healthy().Journeys[:1] }, "failing", diagnosis.DNSFailed, "", 600},
		"no way, and a QR since": {func(s *statuspage.Snapshot) {
			*s = shut()
			s.Journeys, s.WhatsApp.At = healthy().Journeys[:1], before(21)
		}, "ok", "", "QRs are delivered", 20},
		"no way from here, another's engine": {func(s *statuspage.Snapshot) { *s = shut(); s.Engine.Kind = statuspage.EngineHTTP }, "unknown", "", "No QR was requested yet.", 3700},
		"the engine hangs": {func(s *statuspage.Snapshot) {
			s.Engine.State, s.Engine.Since, s.Engine.Last = statuspage.EngineDown, before(42), &statuspage.Answer{Class: "timeout", Op: "qr", Seconds: 5}
		}, "failing", diagnosis.EngineTimeout, "", 42},
		"the engine hangs, and the last call was answered": {func(s *statuspage.Snapshot) {
			s.Engine.State, s.Engine.Since = statuspage.EngineDown, before(42)
			s.Probes.Probes[0].Runs[0] = failed("x", before(3), diagnosis.EngineTimeout, "GET /health: no answer in time")
		}, "failing", diagnosis.EngineTimeout, "", 42},
		"no probe without Redis": {func(s *statuspage.Snapshot) {
			s.Store = statuspage.Store{Kind: "redis", State: "degraded", Since: before(700)}
			r := s.Probes.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.RedisUnavailable, ""), failed("y", before(309), diagnosis.RedisUnavailable, "")
		}, "degraded", diagnosis.RedisUnavailable, "", 700},
		"the probe's key is wrong, and clients get their QR": {func(s *statuspage.Snapshot) {
			r := s.Probes.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.KeyRefused, ""), failed("y", before(309), diagnosis.KeyRefused, "")
		}, "degraded", diagnosis.KeyRefused, "", 309},
		"the probe's key is wrong, and nobody asks": {func(s *statuspage.Snapshot) {
			s.Journeys = nil
			r := s.Probes.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.KeyRefused, ""), failed("y", before(309), diagnosis.KeyRefused, "")
		}, "failing", diagnosis.KeyRefused, "", 309},
		"a probe that failed here, and runs at another replica now": {func(s *statuspage.Snapshot) {
			p := &s.Probes.Probes[2]
			p.Elsewhere, p.Runs[0], p.Runs[1] = true, failed("x", before(5000), diagnosis.DNSFailed, ""), failed("y", before(5300), diagnosis.DNSFailed, "")
		}, "ok", "", "QRs are delivered", -2},
		"it runs elsewhere, and nobody asked here": {func(s *statuspage.Snapshot) {
			*s = quiet()
			s.Probes.Probes = []statuspage.Probe{{Name: "create_connect_qr", Every: 300, Elsewhere: true}}
		}, "unknown", "", "No QR was requested yet.", 3700},
		"one probe failed once": {func(s *statuspage.Snapshot) {
			s.Probes.Probes[2].Runs[0] = failed("x", before(9), diagnosis.DNSFailed, "no such host")
		}, "degraded", diagnosis.DNSFailed, "", 9},
		"one probe failed twice": {func(s *statuspage.Snapshot) {
			r := s.Probes.Probes[2].Runs
			r[0], r[1] = failed("x", before(9), diagnosis.DNSFailed, ""), failed("y", before(309), diagnosis.DNSFailed, "")
		}, "failing", diagnosis.DNSFailed, "", 309},
		"a run that said nothing is no success": {func(s *statuspage.Snapshot) {
			r := s.Probes.Probes[2].Runs
			r[0], r[1], r[2] = failed("x", before(9), diagnosis.DNSFailed, ""), statuspage.Run{Outcome: session.Abandoned, Began: before(100)}, failed("y", before(309), diagnosis.DNSFailed, "")
		}, "failing", diagnosis.DNSFailed, "", 309},
		"a probe that works again": {func(s *statuspage.Snapshot) {
			s.Probes.Probes[2].Runs[1] = failed("y", before(309), diagnosis.DNSFailed, "")
		}, "ok", "", "QRs are delivered", 300},
		"a probe does not run": {func(s *statuspage.Snapshot) {
			for i := range s.Probes.Probes[0].Runs {
				s.Probes.Probes[0].Runs[i].Began = before(100 + float64(i))
			}
		}, "degraded", diagnosis.Undetermined, "The probe engine_health does not run", 100},
		"two journeys failed": {func(s *statuspage.Snapshot) {
			fail(s.Journeys[:2], diagnosis.QRNotEmitted)
		}, "degraded", diagnosis.QRNotEmitted, "", 55},
		"the only journey failed": {func(s *statuspage.Snapshot) {
			s.Probes.Probes, s.Journeys = nil, s.Journeys[:1]
			fail(s.Journeys, diagnosis.DNSFailed)
		}, "degraded", diagnosis.DNSFailed, "", 20},
		"two journeys failed, of two": {func(s *statuspage.Snapshot) {
			s.Probes.Probes, s.Journeys = nil, s.Journeys[:2]
			fail(s.Journeys, diagnosis.DNSFailed)
		}, "degraded", diagnosis.DNSFailed, "", 55},
		"the only journey failed, and a probe got its QR": {func(s *statuspage.Snapshot) {
			s.Journeys = s.Journeys[:1]
			fail(s.Journeys, diagnosis.DNSFailed)
		}, "degraded", diagnosis.DNSFailed, "", 20},
		"three journeys failed": {func(s *statuspage.Snapshot) {
			fail(s.Journeys[:3], diagnosis.QRNotEmitted)
		}, "failing", diagnosis.QRNotEmitted, "", 90},
		"three failed, and one came since": {func(s *statuspage.Snapshot) {
			fail(s.Journeys[1:4], diagnosis.QRNotEmitted)
		}, "degraded", diagnosis.QRNotEmitted, "", 125},
		"long ago": {func(s *statuspage.Snapshot) {
			s.Journeys = s.Journeys[:4]
			s.Journeys[3].At = before(1000)
			fail(s.Journeys[3:], diagnosis.QRNotEmitted)
		}, "ok", "", "QRs are delivered", 905},
		"customers who do not scan": {func(s *statuspage.Snapshot) {
			fail(s.Journeys[:6], diagnosis.QRExpired)
			s.Causes = []statuspage.Cause{{Code: diagnosis.QRExpired, Sessions: 6, Since: before(60), Last: before(3)}}
		}, "ok", "", "QRs are delivered", 3305},
		"one session": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{{Code: diagnosis.Engine5xx, Sessions: 1, Since: before(60), Last: before(3)}}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"one session that was given up": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{{Code: diagnosis.Engine5xx, Sessions: 1, Since: before(60), Last: before(40)}}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"one session, and nobody at work": {func(s *statuspage.Snapshot) {
			s.Sessions, s.Waiters.Held = nil, 0
			s.Causes = []statuspage.Cause{{Code: diagnosis.Engine5xx, Sessions: 1, Since: before(60), Last: before(9)}}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"many sessions, while others get theirs": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{{Code: diagnosis.Engine5xx, Sessions: 4, Since: before(60), Last: before(3)}}
		}, "degraded", diagnosis.Engine5xx, "", 60},
		"many sessions, and no other": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{{Code: diagnosis.Engine5xx, Sessions: 4, Since: before(10), Last: before(3)}}
		}, "failing", diagnosis.Engine5xx, "", 10},
		"only sessions of probes": {func(s *statuspage.Snapshot) {
			s.Causes = []statuspage.Cause{{Code: diagnosis.Engine5xx, Sessions: 4, Probes: 4, Since: before(10), Last: before(3)}}
		}, "ok", "", "QRs are delivered", 3305},
		"Redis is away": {func(s *statuspage.Snapshot) {
			s.Store = statuspage.Store{Kind: "redis", State: "degraded", Since: before(33)}
		}, "degraded", diagnosis.RedisUnavailable, "", 33},
		"almost full": {func(s *statuspage.Snapshot) { s.Waiters.Held = 4600 }, "degraded", diagnosis.EngineOverloaded, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := healthy()
			c.change(&s)
			v := statuspage.Judge(s)
			if c.sentence == "" {
				c.sentence = diagnosis.New(c.code).Title
			}
			if v.Level != c.level || v.Code != c.code || !strings.Contains(v.Sentence, c.sentence) {
				t.Errorf("want %s %s %q: %+v", c.level, c.code, c.sentence, v)
			}
			if c.since >= 0 && !v.Since.Equal(before(c.since)) || c.since == -1 && !v.Since.IsZero() {
				t.Errorf("since %v, want %v", v.Since, before(c.since))
			}
			if v.Affected == "" || v.Why == "" || v.Who == "" || v.Also == nil || v.Code != "" && v.Todo == "" {
				t.Errorf("incomplete: %+v", v)
			}
		})
	}
}

func fail(all []statuspage.Journey, why diagnosis.Code) {
	for i := range all {
		all[i].Outcome, all[i].Code = session.Failure, why
	}
}

func TestJudge_WorstProblemIsFirst(t *testing.T) {
	t.Parallel()
	s := healthy()
	s.Store = statuspage.Store{Kind: "redis", State: "degraded", Since: before(33)}
	s.Waiters.Held = 5000
	fail(s.Journeys[:4], diagnosis.ClientOutdated)
	v := statuspage.Judge(s)
	if v.Level != "failing" || v.Code != diagnosis.ClientOutdated || len(v.Also) != 2 {
		t.Errorf("%+v", v)
	}
	if !strings.Contains(v.Todo, "update") || v.Who != diagnosis.Operator {
		t.Errorf("what to do is %q by %q", v.Todo, v.Who)
	}
}

// The verdict fits a phone with any number of problems.
func TestJudge_ManyProblemsAreTruncated(t *testing.T) {
	t.Parallel()
	s := broken()
	s.Probes.Probes[2].Runs[2].Evidence = strings.Repeat("a proxy's long page, é ", 40)
	for _, c := range diagnosis.Codes() {
		s.Causes = append(s.Causes, statuspage.Cause{Code: c, Sessions: 1000, Since: before(60), Last: before(3)})
	}
	v := statuspage.Judge(s)
	if n := len([]rune(v.Why)); n > 181 || !strings.HasSuffix(v.Why, "…") {
		t.Errorf("%d runes of %q", n, v.Why)
	}
	if len(v.Also) != 7 || !strings.HasSuffix(v.Also[6], " more") || !strings.Contains(strings.Join(v.Also, "\n"), "(1000 sessions)") {
		t.Errorf("%q", v.Also)
	}
	s.Causes = nil
	if v = statuspage.Judge(s); len(v.Also) < 2 || strings.Contains(strings.Join(v.Also, ""), " more") ||
		!strings.Contains(strings.Join(v.Also, "\n"), "Redis cannot be reached (") {
		t.Errorf("%q", v.Also)
	}
}

// The affected users are those who wait, or else those who got no QR.
func TestJudge_Affected(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*statuspage.Snapshot){
		"All users; 2 sessions wait":                                  func(s *statuspage.Snapshot) { s.Sessions = map[session.State]int{session.Connecting: 2} },
		"All users; 1 request waits":                                  func(s *statuspage.Snapshot) { s.Waiters.Held = 1 },
		"All users; no request waits, 1 session got no QR in 15 min":  func(*statuspage.Snapshot) {},
		"All users; no request waits, 4 sessions got no QR in 15 min": func(s *statuspage.Snapshot) { s.Causes[0].Sessions, s.Causes[0].Probes = 6, 2 },
		"All users; no request waits":                                 func(s *statuspage.Snapshot) { s.Causes[0].Code = diagnosis.QRExpired },
	} {
		s := gone()
		change(&s)
		if v := statuspage.Judge(s); v.Affected != want || v.Level != statuspage.LevelFailing {
			t.Errorf("want %q: %+v", want, v)
		}
	}
	for want, change := range map[string]func(*statuspage.Snapshot){
		"1 of the last 1 acquisition in 15 min":   func(s *statuspage.Snapshot) { s.Journeys = s.Journeys[:1] },
		"2 of the last 2 acquisitions in 15 min":  func(s *statuspage.Snapshot) { s.Journeys = s.Journeys[:2] },
		"2 of the last 24 acquisitions in 15 min": func(*statuspage.Snapshot) {},
		"1 session, last request 2 min ago": func(s *statuspage.Snapshot) {
			s.Journeys, s.Causes = s.Journeys[2:], []statuspage.Cause{{Code: diagnosis.Engine5xx, Sessions: 1, Since: before(150), Last: before(120)}}
		},
	} {
		s := healthy()
		fail(s.Journeys[:2], diagnosis.DNSFailed)
		change(&s)
		if v := statuspage.Judge(s); v.Affected != want {
			t.Errorf("want %q: %+v", want, v)
		}
	}
}
