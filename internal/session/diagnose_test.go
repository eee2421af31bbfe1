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

// happening is something that a session goes through, at a time after noon.
type happening struct {
	at time.Duration
	do func(session.Session, time.Time) session.Session
}

const sec = time.Second

func sees(at time.Duration, o session.SessionReport, err error) happening {
	return happening{at, func(s session.Session, now time.Time) session.Session { return s.AfterPoll(o, err, now) }}
}

func faults(at time.Duration, op string, kind session.ErrorKind, code ...string) happening {
	return sees(at, session.SessionReport{}, &session.EngineError{Op: op, Kind: kind, Code: strings.Join(code, ""), Err: errors.New("beneath")})
}

func notReady(at time.Duration) happening {
	return faults(at, session.OpQR, session.KindNotReady, "QR_GENERATION_ERROR")
}

// asks is a comb of looks that find no QR.
func asks(from, to time.Duration) (out []happening) {
	for at := from; at <= to; at += sec {
		out = append(out, notReady(at))
	}
	return out
}

// expired are looks at codes whose life is over by the engine's own account.
func expired(from, to time.Duration) (out []happening) {
	for at := from; at <= to; at += sec {
		out = append(out, sees(at, session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret("old"), Expiry: session.Expiry{Known: true, In: -sec}}, nil))
	}
	return out
}

func begins(at time.Duration) happening {
	return happening{at, func(s session.Session, now time.Time) session.Session { return s.AfterConnect(session.Connect, now) }}
}

// pushes is the gate's own connect, accepted at once.
func pushes(at time.Duration, how session.ConnectMode) happening {
	return happening{at, func(s session.Session, now time.Time) session.Session {
		return s.MarkRecovery(how, now).AfterConnect(how, now)
	}}
}

func refuses(at time.Duration, kind session.ErrorKind, code string) happening {
	return happening{at, func(s session.Session, now time.Time) session.Session {
		return s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: kind, Code: code}, now)
	}}
}

// saysNo is a connect that the engine refuses in its own words.
func saysNo(at time.Duration, text string) happening {
	return happening{at, func(s session.Session, now time.Time) session.Session {
		return s.AfterConnectError(&session.EngineError{Op: session.OpConnect, Kind: session.KindServerError, Text: text}, now)
	}}
}

func wishes(at time.Duration) happening {
	return happening{at, func(s session.Session, now time.Time) session.Session { return s.RequestQR(now) }}
}

func rests(at time.Duration) happening {
	return happening{at, func(s session.Session, now time.Time) session.Session { return s.GiveUp(now) }}
}

func shows(at time.Duration, code string) happening {
	return sees(at, session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret(code)}, nil)
}

func says(at time.Duration, state session.State, reason string) happening {
	return sees(at, session.SessionReport{State: state, Reason: reason}, nil)
}

func story(parts ...[]happening) []happening { return slices.Concat(parts...) }
func one(h ...happening) []happening         { return h }

// told is a diagnosis and when it begins.
type told struct {
	At   time.Duration
	Code diagnosis.Code
}

// tellIt plays a story and returns the changes of the diagnosis, seen every 100 ms.
func tellIt(all []happening, c session.Environment, until time.Duration) []told {
	slices.SortStableFunc(all, func(a, b happening) int { return int(a.at - b.at) })
	s := session.Session{State: session.Created, CreatedHere: true}
	var out []told
	last := diagnosis.None
	for at := time.Duration(0); at <= until; at += 100 * time.Millisecond {
		for len(all) > 0 && all[0].at <= at {
			s, all = all[0].do(s, noon.Add(all[0].at)), all[1:]
		}
		if code := session.Diagnose(s, c, noon.Add(at)).Code; code != last {
			out, last = append(out, told{at, code}), code
		}
	}
	return out
}

// Each story is what a gate goes through with one session, and all that it says of it, from the first word
// to the last: no name that is taken back, no gap, no flicker.
func TestStories(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		story   []happening
		climate session.Environment
		want    []told
	}{
		"a QR after four seconds": {story(one(begins(0)), asks(sec/4, 3*sec), one(shows(4*sec, "a"))), session.Environment{}, nil},
		"no QR, and the gate tries again and restarts": {
			story(one(begins(0), pushes(12*sec, session.Connect), pushes(30*sec, session.Restart)), asks(sec/4, 45*sec)), session.Environment{},
			[]told{{8 * sec, diagnosis.QRNotEmitted}}},
		"no QR, a rest, and a new wish": {
			story(one(begins(0), rests(20*sec), wishes(21*sec)), asks(sec/4, 19*sec), asks(21*sec, 45*sec)), session.Environment{},
			[]told{{8 * sec, diagnosis.QRNotEmitted}}},
		"no QR while others work": {story(one(begins(0)), asks(sec/4, 40*sec)), session.Environment{FailingSessions: 1, PeerSuccesses: 2},
			[]told{{8 * sec, diagnosis.QRNotEmitted}, {12 * sec, diagnosis.SessionStuck}}},
		"no QR, and others fail alike": {story(one(begins(0)), asks(sec/4, 40*sec)), session.Environment{FailingSessions: 2, PeerSuccesses: 2},
			[]told{{8 * sec, diagnosis.QRNotEmitted}}},
		"the engine names the cause in its error, and the gate tries again": {
			story(one(begins(0), pushes(12*sec, session.Connect)), asks(12500*time.Millisecond, 13*sec), one(
				sees(sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady, Text: "Error: client_outdated."}),
				sees(14*sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady, Text: "Error: client_outdated."}))),
			session.Environment{}, []told{{sec, diagnosis.ClientOutdated}}},
		"the engine was updated meanwhile": {
			story(one(begins(0), begins(20*sec), shows(21*sec, "a"),
				sees(sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindNotReady, Text: "client_outdated"}))),
			session.Environment{}, []told{{sec, diagnosis.ClientOutdated}, {20 * sec, diagnosis.None}}},
		"connects fail, looks between them answer": {
			story(one(refuses(0, session.KindServerError, "CONNECTION_ERROR"), notReady(sec/4), refuses(sec/2, session.KindServerError, "CONNECTION_ERROR"),
				notReady(700*time.Millisecond), refuses(2*sec, session.KindServerError, "CONNECTION_ERROR"), notReady(3*sec), refuses(8*sec, session.KindServerError, "CONNECTION_ERROR"))),
			session.Environment{}, []told{{sec / 2, diagnosis.ConnectFailing}}},
		"connects fail, and say why": {
			story(one(saysNo(0, "Límite de sesiones alcanzado"), notReady(sec/4), saysNo(sec/2, "Límite de sesiones alcanzado"), notReady(sec))),
			session.Environment{}, []told{{0, diagnosis.SessionLimit}}},
		"a connect fails once": {story(one(refuses(0, session.KindServerError, "CONNECTION_ERROR"), begins(sec/2), shows(sec, "a"))), session.Environment{}, nil},
		"connects are over the limit": {
			story(one(refuses(0, session.KindRateLimited, ""), notReady(sec), refuses(2*sec, session.KindRateLimited, ""), notReady(3*sec))),
			session.Environment{}, []told{{2 * sec, diagnosis.RateLimited}}},
		"looks fail, and the state is told in between": {
			story(one(begins(0), faults(sec, session.OpQR, session.KindServerError), faults(2*sec, session.OpQR, session.KindServerError), says(11*sec, session.Connecting, ""),
				pushes(12*sec, session.Connect), faults(13*sec, session.OpQR, session.KindServerError), shows(15*sec, "a"))), session.Environment{},
			[]told{{2 * sec, diagnosis.Engine5xx}, {15 * sec, diagnosis.None}}},
		"one look fails": {story(one(begins(0), faults(sec, session.OpQR, session.KindUnreachable), shows(2*sec, "a"))), session.Environment{}, nil},
		"the engine dies, comes back, and has forgotten": {
			story(one(begins(0), faults(sec, session.OpQR, session.KindUnreachable), faults(2*sec, session.OpQR, session.KindUnreachable),
				notReady(10*sec), pushes(10100*time.Millisecond, session.Connect), notReady(10500*time.Millisecond), shows(12*sec, "a"))),
			session.Environment{}, []told{{2 * sec, diagnosis.EngineUnreachable}, {10 * sec, diagnosis.EngineRestarted}, {12 * sec, diagnosis.None}}},
		"the engine's last word is old when it dies": {
			story(one(begins(0), says(sec, session.Disconnected, "405 Connection Failure"),
				faults(3*sec, session.OpQR, session.KindUnreachable), faults(4*sec, session.OpQR, session.KindUnreachable))),
			session.Environment{}, []told{{sec, diagnosis.ClientOutdated}, {4 * sec, diagnosis.EngineUnreachable}}},
		"codes run out": {
			story(one(begins(0), shows(sec, "a"), notReady(70*sec))), session.Environment{}, []told{{75 * sec, diagnosis.QRExpired}}},
		"a code vanishes because it was scanned": {
			story(one(begins(0), shows(sec, "a"), notReady(30*sec), says(33*sec, session.Connected, ""))),
			session.Environment{}, []told{{33 * sec, diagnosis.AlreadyPaired}}},
		"codes ran out, and the gate connects again": {
			story(one(begins(0), shows(sec, "a"), notReady(70*sec), pushes(72*sec, session.Connect), notReady(72300*time.Millisecond), shows(73*sec, "b"))),
			session.Environment{}, nil},
		"the key is refused": {story(one(begins(0), faults(sec, session.OpQR, session.KindKeyRefused))), session.Environment{}, []told{{sec, diagnosis.KeyRefused}}},
		"the budget is spent": {story(one(begins(0)), asks(sec/4, 3*sec)), session.Environment{RateLimitWait: 20 * sec},
			[]told{{0, diagnosis.RateLimited}}},
		"the budget is spent on an engine that is silent": {story(one(begins(0)), asks(sec/4, 6*sec)), session.Environment{RateLimitWait: 20 * sec},
			[]told{{0, diagnosis.RateLimited}, {5300 * time.Millisecond, diagnosis.None}, {8 * sec, diagnosis.QRNotEmitted}}},
		"only codes that have expired":            {story(one(begins(0)), expired(sec, 12*sec)), session.Environment{}, []told{{8 * sec, diagnosis.QRInvalid}}},
		"a code that has expired, then a new one": {story(one(begins(0)), expired(sec, 3*sec), one(shows(4*sec, "a"))), session.Environment{}, nil},
		"the session was deleted behind the gate's back": {
			story(one(begins(0), notReady(6*sec), faults(7*sec, session.OpQR, session.KindSessionNotFound), refuses(7100*time.Millisecond, session.KindSessionNotFound, "SESSION_NOT_FOUND"),
				faults(8*sec, session.OpQR, session.KindSessionNotFound), refuses(9*sec, session.KindSessionNotFound, "SESSION_NOT_FOUND"))),
			session.Environment{}, []told{{7 * sec, diagnosis.EngineRestarted}, {9 * sec, diagnosis.SessionNotFound}}},
		"nobody connected": {story(one(wishes(0)), asks(sec/4, 20*sec)), session.Environment{}, []told{{8 * sec, diagnosis.Undetermined}}},
		"slow answers":     {story(one(begins(0), notReady(4*sec), notReady(8*sec))), session.Environment{MinLatency: 4 * sec}, []told{{8 * sec, diagnosis.EngineOverloaded}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			until := tt.story[len(tt.story)-1].at + 5*sec
			for _, h := range tt.story {
				until = max(until, h.at+4900*time.Millisecond)
			}
			if name == "codes run out" {
				until += sec
			}
			if diff := cmp.Diff(tt.want, tellIt(tt.story, tt.climate, until)); diff != "" {
				t.Errorf("what is said (-want +got)\n%s", diff)
			}
		})
	}
}

// Every cause in an engine's absence has its sign, seen twice or for two seconds and not before.
func TestAbsence(t *testing.T) {
	t.Parallel()
	for kind, want := range map[session.ErrorKind]diagnosis.Code{session.KindUnreachable: diagnosis.EngineUnreachable, session.KindTimeout: diagnosis.EngineTimeout,
		session.KindBadResponse: diagnosis.EngineBadResponse, session.KindServerError: diagnosis.Engine5xx, session.KindRateLimited: diagnosis.RateLimited} {
		once := one(begins(0), faults(sec, session.OpQR, kind))
		if diff := cmp.Diff([]told{{3 * sec, want}}, tellIt(once, session.Environment{}, 5*sec)); diff != "" {
			t.Errorf("%s once (-want +got)\n%s", kind, diff)
		}
		twice := one(begins(0), faults(sec, session.OpQR, kind), faults(1500*time.Millisecond, session.OpQR, kind))
		if diff := cmp.Diff([]told{{1500 * time.Millisecond, want}}, tellIt(twice, session.Environment{}, 5*sec)); diff != "" {
			t.Errorf("%s twice (-want +got)\n%s", kind, diff)
		}
	}
}

// A QR that is no image is a fault of the engine's QR, not of its answers.
func TestInvalidQR(t *testing.T) {
	t.Parallel()
	got := tellIt(one(begins(0), faults(sec, session.OpQR, session.KindBadResponse, "QR_INVALID")), session.Environment{}, 5*sec)
	if diff := cmp.Diff([]told{{sec, diagnosis.QRInvalid}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// That the gate found it out itself is no word of the engine.
func TestInvalidQRIsFoundByTheGate(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(session.Connect, noon)
	s, _ = look(s, sec, session.SessionReport{}, &session.EngineError{Op: session.OpQR, Kind: session.KindBadResponse, Code: "QR_INVALID"})
	if d := session.Diagnose(s, session.Environment{}, noon.Add(2*sec)); d.Code != diagnosis.QRInvalid || strings.Contains(strings.Join(d.Evidence, " "), "itself") {
		t.Errorf("%+v", d)
	}
}

// Whatever is diagnosed says what shows it, in words without anybody's secret.
func TestEvidence(t *testing.T) {
	t.Parallel()
	s := session.Session{State: session.Created}.AfterConnect(session.Connect, noon)
	s, _ = look(s, sec, session.SessionReport{Reason: "405 Connection Failure of device ABCDEF"}, nil)
	d := session.Diagnose(s, session.Environment{}, noon.Add(2*sec))
	if len(d.Evidence) == 0 || strings.Contains(strings.Join(d.Evidence, " "), "ABCDEF") {
		t.Errorf("evidence %q", d.Evidence)
	}
}

// A reason that has no name leaves its number, by which an engine's log is searched, and none of its words.
func TestEvidenceOfAReasonWithoutAName(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{"418 Connection Failure of ABCDEF": " here (418); its log", "of ABCDEF, 418": " here; its log", "4180 ABCDEF": " here; its log"} {
		s := session.Session{State: session.Created}.AfterConnect(session.Connect, noon)
		s, _ = look(s, sec, session.SessionReport{Reason: reason}, nil)
		d := session.Diagnose(s, session.Environment{}, noon.Add(9*sec))
		if all := strings.Join(d.Evidence, " "); d.Code != diagnosis.QRNotEmitted || !strings.Contains(all, want) || strings.Contains(all, "ABCDEF") {
			t.Errorf("%s: %+v", reason, d)
		}
	}
}

// What an answer about the state says of a session's end is remembered: it outlives the gate's own connect, and
// a code that was shown before it is dead.
func TestPastTold(t *testing.T) {
	t.Parallel()
	ended := session.SessionReport{State: session.Failed, Reason: "405 Connection Failure"}
	s := session.Session{State: session.Created}.AfterConnect(session.Connect, noon)
	s.History = s.History.RecordDisconnect(ended, noon.Add(sec))
	s = s.MarkRecovery(session.Connect, noon.Add(2*sec)).AfterConnect(session.Connect, noon.Add(2*sec))
	if d := session.Diagnose(s, session.Environment{}, noon.Add(3*sec)); d.Code != diagnosis.ClientOutdated {
		t.Errorf("after the gate's own connect: %s", d.Code)
	}
	s, _ = look(s, 4*sec, session.SessionReport{State: session.AwaitingScan, Image: secret.NewSecret("a")}, nil)
	for _, o := range []session.SessionReport{{}, {Reason: "405 Connection Failure", State: session.AwaitingScan}, {Reason: "of no name", State: session.Failed}} {
		told := s
		told.History = told.History.RecordDisconnect(o, noon.Add(5*sec))
		if d := session.Diagnose(told, session.Environment{}, noon.Add(6*sec)); !d.Healthy() {
			t.Errorf("%+v beside a good code: %s", o, d.Code)
		}
	}
	s, _ = look(s, 5*sec, ended, nil)
	s.History = s.History.RecordDisconnect(ended, noon.Add(5*sec))
	if d := session.Diagnose(s, session.Environment{}, noon.Add(6*sec)); d.Code != diagnosis.ClientOutdated {
		t.Errorf("a dead code: %s", d.Code)
	}
}

func TestTimeToVisible(t *testing.T) {
	t.Parallel()
	for _, code := range diagnosis.Codes() {
		if d := session.ConfirmDelay(code); d < 0 || d > 12*sec {
			t.Errorf("%s is visible after %s", code, d)
		}
	}
}
