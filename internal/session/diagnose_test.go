package session_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// step is an event of a session at a time after noon.
type step struct {
	at    time.Duration
	apply func(session.Session, time.Time) session.Session
}

const sec = time.Second

func polled(at time.Duration, o session.SessionReport, err error) step {
	return step{at, func(s session.Session, now time.Time) session.Session { return s.AfterPoll(o, err, now) }}
}

func fails(at time.Duration, op string, kind session.ErrorKind, code ...string) step {
	return polled(at, session.SessionReport{}, &session.EngineError{Op: op, Kind: kind, Code: strings.Join(code, ""), Err: errors.New("beneath")})
}

func notReady(at time.Duration) step {
	return fails(at, session.OpQR, session.KindNotReady, "QR_GENERATION_ERROR")
}

// polls are polls, one a second, that find no QR.
func polls(from, to time.Duration) (out []step) {
	for at := from; at <= to; at += sec {
		out = append(out, notReady(at))
	}
	return out
}

// expired are polls, one a second, that return a code which has expired by the engine's clock.
func expired(from, to time.Duration) (out []step) {
	for at := from; at <= to; at += sec {
		out = append(out, polled(at, session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret("old"), Expiry: session.Expiry{Known: true, In: -sec}}, nil))
	}
	return out
}

func connects(at time.Duration) step {
	return step{at, func(s session.Session, now time.Time) session.Session { return s.AfterConnect(now) }}
}

// recovers is a recovery step whose connect is accepted at once.
func recovers(at time.Duration, how session.ConnectMode) step {
	return step{at, func(s session.Session, now time.Time) session.Session {
		return s.MarkRecovery(how, now).AfterConnect(now)
	}}
}

func rejectsConnect(at time.Duration, kind session.ErrorKind, code string) step {
	return step{at, func(s session.Session, now time.Time) session.Session {
		return s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: kind, Code: code}, now)
	}}
}

// rejectsConnectWith is a connect that the engine rejects with a text.
func rejectsConnectWith(at time.Duration, text string) step {
	return step{at, func(s session.Session, now time.Time) session.Session {
		return s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: session.KindServerError, Text: text}, now)
	}}
}

func requests(at time.Duration) step {
	return step{at, func(s session.Session, now time.Time) session.Session { return s.RequestQR(now) }}
}

// outage are two polls half a second apart that cannot reach the engine.
func outage(at time.Duration) []step {
	return of(fails(at, session.OpQR, session.KindUnreachable), fails(at+sec/2, session.OpQR, session.KindUnreachable))
}

// breaksOff are two responses whose connection breaks.
func breaksOff(at time.Duration) []step {
	cut := &session.EngineError{Op: session.OpQR, Kind: session.KindUnreachable, Status: 200, Err: errors.New("beneath")}
	return of(polled(at, session.SessionReport{}, cut), polled(at+sec/2, session.SessionReport{}, cut))
}

func givesUp(at time.Duration) step {
	return step{at, func(s session.Session, now time.Time) session.Session { return s.GiveUp(now) }}
}

func shows(at time.Duration, code string) step {
	return polled(at, session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret(code)}, nil)
}

func reports(at time.Duration, state session.State, reason string) step {
	return polled(at, session.SessionReport{State: state, Reason: reason}, nil)
}

func steps(parts ...[]step) []step { return slices.Concat(parts...) }
func of(h ...step) []step          { return h }

// change is a diagnosis and its start.
type change struct {
	At   time.Duration
	Code diagnosis.Code
}

// run applies the steps and returns the changes of the diagnosis, checked every 100 ms.
func run(all []step, c session.Environment, until time.Duration) []change {
	slices.SortStableFunc(all, func(a, b step) int { return int(a.at - b.at) })
	s := session.Session{State: session.Created, CreatedHere: true}
	var out []change
	last := diagnosis.None
	for at := time.Duration(0); at <= until; at += 100 * time.Millisecond {
		for len(all) > 0 && all[0].at <= at {
			s, all = all[0].apply(s, noon.Add(all[0].at)), all[1:]
		}
		if code := session.Diagnose(s, c, noon.Add(at)).Code; code != last {
			out, last = append(out, change{at, code}), code
		}
	}
	return out
}

// Each case has the steps of one session and every change of its diagnosis: no gap and no flicker.
func TestDiagnose_ChangesOverTime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		steps []step
		env   session.Environment
		want  []change
	}{
		"a QR after four seconds": {steps(of(connects(0)), polls(sec/4, 3*sec), of(shows(4*sec, "a"))), session.Environment{}, nil},
		"no QR, reconnect and restart by qrgate": {
			steps(of(connects(0), recovers(12*sec, session.Connect), recovers(30*sec, session.Restart)), polls(sec/4, 45*sec)), session.Environment{},
			[]change{{8 * sec, diagnosis.QRNotEmitted}}},
		"no QR, and a second acquisition": {
			steps(of(connects(0), givesUp(20*sec), requests(21*sec)), polls(sec/4, 19*sec), polls(21*sec, 45*sec)), session.Environment{},
			[]change{{8 * sec, diagnosis.QRNotEmitted}}},
		"no QR while other sessions work": {steps(of(connects(0)), polls(sec/4, 40*sec)), session.Environment{FailingSessions: 1, PeerSuccesses: 2},
			[]change{{8 * sec, diagnosis.QRNotEmitted}, {12 * sec, diagnosis.SessionStuck}}},
		"no QR, and other sessions fail, too": {steps(of(connects(0)), polls(sec/4, 40*sec)), session.Environment{FailingSessions: 2, PeerSuccesses: 2},
			[]change{{8 * sec, diagnosis.QRNotEmitted}}},
		"the engine names the cause, and qrgate reconnects": {
			steps(of(connects(0), recovers(12*sec, session.Connect)), polls(12500*time.Millisecond, 13*sec), of(
				polled(sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady, Text: "Error: client_outdated."}),
				polled(14*sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady, Text: "Error: client_outdated."}))),
			session.Environment{}, []change{{sec, diagnosis.ClientOutdated}}},
		"the engine was updated meanwhile": {
			steps(of(connects(0), connects(20*sec), shows(21*sec, "a"),
				polled(sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady, Text: "client_outdated"}))),
			session.Environment{}, []change{{sec, diagnosis.ClientOutdated}, {20 * sec, diagnosis.None}}},
		"connects fail, polls between them succeed": {
			steps(of(rejectsConnect(0, session.KindServerError, "CONNECTION_ERROR"), notReady(sec/4), rejectsConnect(sec/2, session.KindServerError, "CONNECTION_ERROR"),
				notReady(700*time.Millisecond), rejectsConnect(2*sec, session.KindServerError, "CONNECTION_ERROR"), notReady(3*sec), rejectsConnect(8*sec, session.KindServerError, "CONNECTION_ERROR"))),
			session.Environment{}, []change{{sec / 2, diagnosis.ConnectFailing}}},
		"connects fail with a cause": {
			steps(of(rejectsConnectWith(0, "Límite de sesiones alcanzado"), notReady(sec/4), rejectsConnectWith(sec/2, "Límite de sesiones alcanzado"), notReady(sec))),
			session.Environment{}, []change{{0, diagnosis.SessionLimit}}},
		"a connect fails once": {steps(of(rejectsConnect(0, session.KindServerError, "CONNECTION_ERROR"), connects(sec/2), shows(sec, "a"))), session.Environment{}, nil},
		"connects exceed the rate limit": {
			steps(of(rejectsConnect(0, session.KindRateLimited, ""), notReady(sec), rejectsConnect(2*sec, session.KindRateLimited, ""), notReady(3*sec))),
			session.Environment{}, []change{{2 * sec, diagnosis.RateLimited}}},
		"polls fail, status calls succeed": {
			steps(of(connects(0), fails(sec, session.OpQR, session.KindServerError), fails(2*sec, session.OpQR, session.KindServerError), reports(11*sec, session.Connecting, ""),
				recovers(12*sec, session.Connect), fails(13*sec, session.OpQR, session.KindServerError), shows(15*sec, "a"))), session.Environment{},
			[]change{{2 * sec, diagnosis.Engine5xx}, {15 * sec, diagnosis.None}}},
		"one poll fails": {steps(of(connects(0), fails(sec, session.OpQR, session.KindUnreachable), shows(2*sec, "a"))), session.Environment{}, nil},
		"the engine restarts and loses the session": {
			steps(of(connects(0), fails(sec, session.OpQR, session.KindUnreachable), fails(2*sec, session.OpQR, session.KindUnreachable),
				notReady(10*sec), recovers(10100*time.Millisecond, session.Connect), notReady(10500*time.Millisecond), shows(12*sec, "a"))),
			session.Environment{}, []change{{2 * sec, diagnosis.EngineUnreachable}, {10 * sec, diagnosis.EngineRestarted}, {12 * sec, diagnosis.None}}},
		"the engine names a cause and becomes unreachable": {
			steps(of(connects(0), reports(sec, session.Disconnected, "405 Connection Failure"),
				fails(3*sec, session.OpQR, session.KindUnreachable), fails(4*sec, session.OpQR, session.KindUnreachable))),
			session.Environment{}, []change{{sec, diagnosis.ClientOutdated}, {4 * sec, diagnosis.EngineUnreachable}}},
		"codes expire": {
			steps(of(connects(0), shows(sec, "a"), notReady(70*sec))), session.Environment{}, []change{{75 * sec, diagnosis.QRExpired}}},
		"a code disappears after a scan": {
			steps(of(connects(0), shows(sec, "a"), notReady(30*sec), reports(33*sec, session.Connected, ""))),
			session.Environment{}, []change{{33 * sec, diagnosis.AlreadyPaired}}},
		"a code disappears after a scan, and the login takes long": {
			steps(of(connects(0), shows(sec, "a"), notReady(5*sec), notReady(10*sec), notReady(20*sec), reports(30*sec, session.Connected, ""))),
			session.Environment{}, []change{{30 * sec, diagnosis.AlreadyPaired}}},
		"codes expire, and qrgate reconnects": {
			steps(of(connects(0), shows(sec, "a"), notReady(70*sec), recovers(72*sec, session.Connect), notReady(72300*time.Millisecond), shows(73*sec, "b"))),
			session.Environment{}, nil},
		"the key is refused": {steps(of(connects(0), fails(sec, session.OpQR, session.KindKeyRefused))), session.Environment{}, []change{{sec, diagnosis.KeyRefused}}},
		"the rate limit is used up": {steps(of(connects(0)), polls(sec/4, 3*sec)), session.Environment{RateLimitWait: 20 * sec},
			[]change{{0, diagnosis.RateLimited}}},
		"the rate limit is used up on a silent engine": {steps(of(connects(0)), polls(sec/4, 6*sec)), session.Environment{RateLimitWait: 20 * sec},
			[]change{{0, diagnosis.RateLimited}, {5300 * time.Millisecond, diagnosis.None}, {8 * sec, diagnosis.QRNotEmitted}}},
		"only expired codes":              {steps(of(connects(0)), expired(sec, 12*sec)), session.Environment{}, []change{{8 * sec, diagnosis.QRInvalid}}},
		"an expired code, then a new one": {steps(of(connects(0)), expired(sec, 3*sec), of(shows(4*sec, "a"))), session.Environment{}, nil},
		"the session was deleted without qrgate": {
			steps(of(connects(0), notReady(6*sec), fails(7*sec, session.OpQR, session.KindSessionNotFound), rejectsConnect(7100*time.Millisecond, session.KindSessionNotFound, "SESSION_NOT_FOUND"),
				fails(8*sec, session.OpQR, session.KindSessionNotFound), rejectsConnect(9*sec, session.KindSessionNotFound, "SESSION_NOT_FOUND"))),
			session.Environment{}, []change{{8 * sec, diagnosis.EngineRestarted}, {9 * sec, diagnosis.SessionNotFound}}},
		"one call does not find the session, and no other is left": {
			of(connects(0), notReady(6*sec), fails(7*sec, session.OpQR, session.KindSessionNotFound)),
			session.Environment{RateLimitWait: 20 * sec},
			[]change{{0, diagnosis.RateLimited}, {6 * sec, diagnosis.None}, {8 * sec, diagnosis.QRNotEmitted}}},
		"one call does not find the session": {
			of(connects(0), notReady(6*sec), fails(7*sec, session.OpQR, session.KindSessionNotFound)), session.Environment{},
			[]change{{8 * sec, diagnosis.QRNotEmitted}, {9 * sec, diagnosis.SessionNotFound}}},
		"the engine restarts again and again": {
			steps(of(connects(0)), outage(2*sec), of(notReady(4*sec), recovers(4100*time.Millisecond, session.Connect)), outage(10*sec), of(notReady(12*sec)), outage(20*sec), of(notReady(22*sec))),
			session.Environment{}, []change{{2500 * time.Millisecond, diagnosis.EngineUnreachable}, {4 * sec, diagnosis.EngineRestarted}, {10500 * time.Millisecond, diagnosis.EngineUnreachable},
				{12 * sec, diagnosis.EngineRestarted}, {20500 * time.Millisecond, diagnosis.EngineCrashLoop}}},
		"responses break off, and other calls work": {
			steps(of(connects(0)), breaksOff(2*sec), of(notReady(4*sec)), breaksOff(6*sec), of(notReady(8*sec)), breaksOff(10*sec)),
			session.Environment{}, []change{{2500 * time.Millisecond, diagnosis.EngineUnreachable}, {4 * sec, diagnosis.EngineRestarted},
				{6500 * time.Millisecond, diagnosis.EngineUnreachable}, {8 * sec, diagnosis.EngineRestarted}, {10500 * time.Millisecond, diagnosis.EngineUnreachable}}},
		"two engines behind one address": {
			steps(of(connects(0), notReady(sec), fails(2*sec, session.OpQR, session.KindSessionNotFound), notReady(3*sec), fails(4*sec, session.OpQR, session.KindSessionNotFound), notReady(5*sec))),
			session.Environment{}, []change{{5 * sec, diagnosis.EngineInconsistent}}},
		"the connect goes to an engine that has not created the session": {
			steps(of(rejectsConnect(0, session.KindSessionNotFound, "SESSION_NOT_FOUND"), rejectsConnect(sec, session.KindSessionNotFound, "SESSION_NOT_FOUND"))),
			session.Environment{}, []change{{0, diagnosis.EngineInconsistent}}},
		"no connect":     {steps(of(requests(0)), polls(sec/4, 20*sec)), session.Environment{}, []change{{8 * sec, diagnosis.Undetermined}}},
		"slow responses": {steps(of(connects(0), notReady(4*sec), notReady(8*sec))), session.Environment{MinLatency: 4 * sec}, []change{{8 * sec, diagnosis.EngineOverloaded}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			until := tt.steps[len(tt.steps)-1].at + 5*sec
			for _, h := range tt.steps {
				until = max(until, h.at+4900*time.Millisecond)
			}
			if name == "codes expire" {
				until += sec
			}
			if diff := cmp.Diff(tt.want, run(tt.steps, tt.env, until)); diff != "" {
				t.Errorf("changes (-want +got)\n%s", diff)
			}
		})
	}
}

// An engine failure is the diagnosis after two seconds, or when it happens twice.
func TestDiagnose_EngineFailuresNeedTwoOccurrences(t *testing.T) {
	t.Parallel()
	for kind, want := range map[session.ErrorKind]diagnosis.Code{session.KindUnreachable: diagnosis.EngineUnreachable, session.KindTimeout: diagnosis.EngineTimeout,
		session.KindBadResponse: diagnosis.EngineBadResponse, session.KindServerError: diagnosis.Engine5xx, session.KindRateLimited: diagnosis.RateLimited} {
		once := of(connects(0), fails(sec, session.OpQR, kind))
		if diff := cmp.Diff([]change{{3 * sec, want}}, run(once, session.Environment{}, 5*sec)); diff != "" {
			t.Errorf("%s once (-want +got)\n%s", kind, diff)
		}
		twice := of(connects(0), fails(sec, session.OpQR, kind), fails(1500*time.Millisecond, session.OpQR, kind))
		if diff := cmp.Diff([]change{{1500 * time.Millisecond, want}}, run(twice, session.Environment{}, 5*sec)); diff != "" {
			t.Errorf("%s twice (-want +got)\n%s", kind, diff)
		}
	}
}

func TestDiagnose_InvalidQR(t *testing.T) {
	t.Parallel()
	got := run(of(connects(0), fails(sec, session.OpQR, session.KindBadResponse, "QR_INVALID")), session.Environment{}, 5*sec)
	if diff := cmp.Diff([]change{{sec, diagnosis.QRInvalid}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// qrgate found the invalid QR, so the evidence must not claim that the engine named it.
func TestDiagnose_InvalidQRIsNotNamedByTheEngine(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(noon)
	s = poll(s, sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindBadResponse, Code: "QR_INVALID"})
	if d := session.Diagnose(s, session.Environment{}, noon.Add(2*sec)); d.Code != diagnosis.QRInvalid || strings.Contains(strings.Join(d.Evidence, " "), "itself") {
		t.Errorf("%+v", d)
	}
}

func TestDiagnose_EvidenceHasNoEngineText(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(noon)
	s = poll(s, sec, session.SessionReport{Reason: "405 Connection Failure of device ABCDEF"}, nil)
	d := session.Diagnose(s, session.Environment{}, noon.Add(2*sec))
	if len(d.Evidence) == 0 || strings.Contains(strings.Join(d.Evidence, " "), "ABCDEF") {
		t.Errorf("evidence %q", d.Evidence)
	}
}

// The evidence of an unknown reason has its number, for a search in the engine's log, and no other part of it.
func TestDiagnose_EvidenceOfUnknownReasonHasItsNumber(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{"418 Connection Failure of ABCDEF": " reason (418); see its log", "of ABCDEF, 418": " reason; see its log", "4180 ABCDEF": " reason; see its log"} {
		s := session.Session{State: session.Created}.AfterConnect(noon)
		s = poll(s, sec, session.SessionReport{Reason: reason}, nil)
		d := session.Diagnose(s, session.Environment{}, noon.Add(9*sec))
		if all := strings.Join(d.Evidence, " "); d.Code != diagnosis.QRNotEmitted || !strings.Contains(all, want) || strings.Contains(all, "ABCDEF") {
			t.Errorf("%s: %+v", reason, d)
		}
	}
}

// A recorded disconnect reason survives qrgate's own reconnect, and invalidates an older code.
func TestRecordDisconnect_SurvivesReconnectAndInvalidatesCode(t *testing.T) {
	t.Parallel()
	ended := session.SessionReport{State: session.Failed, Reason: "405 Connection Failure"}
	s := session.Session{State: session.Created}.AfterConnect(noon)
	s.History = s.History.RecordDisconnect(ended, noon.Add(sec))
	s = s.MarkRecovery(session.Connect, noon.Add(2*sec)).AfterConnect(noon.Add(2 * sec))
	if d := session.Diagnose(s, session.Environment{}, noon.Add(3*sec)); d.Code != diagnosis.ClientOutdated {
		t.Errorf("after qrgate's own reconnect: %s", d.Code)
	}
	s = poll(s, 4*sec, session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret("a")}, nil)
	for _, o := range []session.SessionReport{{}, {Reason: "405 Connection Failure", State: session.AwaitingScan}, {Reason: "unknown", State: session.Failed}} {
		change := s
		change.History = change.History.RecordDisconnect(o, noon.Add(5*sec))
		if d := session.Diagnose(change, session.Environment{}, noon.Add(6*sec)); !d.Healthy() {
			t.Errorf("%+v beside a good code: %s", o, d.Code)
		}
	}
	s = poll(s, 5*sec, ended, nil)
	s.History = s.History.RecordDisconnect(ended, noon.Add(5*sec))
	if d := session.Diagnose(s, session.Environment{}, noon.Add(6*sec)); d.Code != diagnosis.ClientOutdated {
		t.Errorf("a dead code: %s", d.Code)
	}
}

func TestConfirmDelay_IsShort(t *testing.T) {
	t.Parallel()
	for _, code := range diagnosis.Codes() {
		if d := session.ConfirmDelay(code); d < 0 || d > 12*sec {
			t.Errorf("%s is confirmed after %s", code, d)
		}
	}
}
