package embedded

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// testTime is the time of all events in these tables.
var testTime = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// result is the part of the next state that the tables check.
type result struct {
	Phase      phase
	Generation int
	Attempts   int
	Deadline   time.Duration // from testTime; 0 means none
	State      session.State
	Reason     diagnosis.Code
}

type transitionCase struct {
	link linkState
	e    event
	want result
}

// change modifies the state that at returns.
type change func(*linkState)

func isPaired(l *linkState)         { l.JID = "5550100:1@s.whatsapp.net" }
func isDue(l *linkState)            { l.Deadline = testTime }
func isLate(l *linkState)           { l.Deadline = testTime.Add(-lateTimer) }
func noClientWaits(l *linkState)    { l.WantedUntil = testTime.Add(-time.Second) }
func isStored(l *linkState)         { l.IsStored = true }
func restartRequested(l *linkState) { l.HasRestart = true }
func failed(l *linkState)           { l.LastDisconnect = someReason() }
func justStarted(l *linkState)      { l.Since = testTime }

func tried(n int) change { return func(l *linkState) { l.Attempts = n } }

// shows has n codes, the current one included.
func shows(n int) change {
	return func(l *linkState) {
		l.Codes, l.Sequence, l.ShownAt = someCodes()[:n], 3-n, testTime.Add(-20*time.Second)
	}
}

func someCodes() []secret.Secret {
	return []secret.Secret{secret.NewSecret("one"), secret.NewSecret("two")}
}

// at is a state whose phase began a minute ago on the fourth connection; a client waits for another minute.
func at(p phase, changes ...change) linkState {
	l := linkState{Phase: p, Since: testTime.Add(-time.Minute), Generation: 4, WantedUntil: testTime.Add(time.Minute)}
	for _, c := range changes {
		c(&l)
	}
	return l
}

func someReason() reason { return newReason(diagnosis.WhatsAppUnavailable, "a sentence") }

// runSteps checks each transition.
func runSteps(t *testing.T, steps map[string]transitionCase) {
	t.Helper()
	for name, s := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := transition(s.e, s.link, testTime)
			got := result{l.Phase, l.Generation, l.Attempts, 0, l.state(), l.LastDisconnect.Code}
			if !l.Deadline.IsZero() {
				got.Deadline = l.Deadline.Sub(testTime)
			}
			if diff := cmp.Diff(s.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if _, shown := l.code(); shown != (l.Phase == showing) || len(l.Codes) > 0 != shown {
				t.Errorf("%d codes in phase %q", len(l.Codes), l.Phase)
			}
		})
	}
}

// Requests, and a restart of the process.
func TestTransition_Requests(t *testing.T) {
	t.Parallel()
	runSteps(t, map[string]transitionCase{
		"connect begins":                            {at(idle, tried(2)), connectRequested{}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"connect after a failure":                   {at(idle, failed), connectRequested{}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"connect while backing off after a failure": {at(backingOff, failed), connectRequested{}, result{backingOff, 4, 0, 0, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"connect, paired":                           {at(idle, isPaired), connectRequested{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"connect while dialing":                     {at(dialing, isDue), connectRequested{}, result{dialing, 4, 0, 0, session.Connecting, ""}},
		"connect while a code is shown":             {at(showing, shows(2)), connectRequested{}, result{showing, 4, 0, 0, session.AwaitingScan, ""}},
		"connect while backing off":                 {at(backingOff, tried(1)), connectRequested{}, result{backingOff, 4, 1, 0, session.Connecting, ""}},
		"connect while backing off, paired":         {at(backingOff, tried(5), isPaired), connectRequested{}, result{queued, 5, 5, 0, session.Disconnected, ""}},
		"connect while online":                      {at(online, isPaired), connectRequested{}, result{online, 4, 0, 0, session.Connected, ""}},
		"force while a code is shown":               {at(showing, shows(2)), connectRequested{force: true}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"force while backing off":                   {at(backingOff, tried(1)), connectRequested{force: true}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"force while online":                        {at(online, isPaired), connectRequested{force: true}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"force while pairing":                       {at(pairing, isPaired), connectRequested{force: true}, result{pairing, 4, 0, 0, session.Connecting, ""}},
		"process restart, paired":                   {at(idle, isPaired), resume{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"process restart, unpaired":                 {at(idle), resume{}, result{idle, 4, 0, 0, session.Created, ""}},
		"process restart, paused":                   {at(idle, isPaired, func(l *linkState) { l.Paused = true }), resume{}, result{idle, 4, 0, 0, session.Disconnected, ""}},
		"disconnect":                                {at(online, isPaired), stopRequested{pause: true}, result{idle, 4, 0, 0, session.Disconnected, ""}},
	})
}

// From the connect to the handshake, and rejections.
func TestTransition_DialingAndRejection(t *testing.T) {
	t.Parallel()
	runSteps(t, map[string]transitionCase{
		"dial slot acquired":                 {at(queued), dialStarted{}, result{dialing, 4, 0, dialTimeout, session.Connecting, ""}},
		"handshake deadline, noticed late":   {at(dialing, isLate), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.EngineOverloaded}},
		"login deadline, noticed late":       {at(loggingIn, isPaired, isLate), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.EngineOverloaded}},
		"no dial slot":                       {at(queued, isDue), tick{}, result{idle, 4, 0, 0, session.Failed, diagnosis.EngineOverloaded}},
		"handshake":                          {at(dialing), handshakeDone{}, result{awaiting, 4, 0, codesTimeout, session.Connecting, ""}},
		"handshake, paired":                  {at(dialing, isPaired), handshakeDone{}, result{loggingIn, 4, 0, loginTimeout, session.Connecting, ""}},
		"handshake reported after the codes": {at(showing, shows(2)), handshakeDone{}, result{showing, 4, 0, 0, session.AwaitingScan, ""}},
		"handshake times out":                {at(dialing, isDue), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"codes before the handshake":         {at(dialing), codesReceived{someCodes()}, result{showing, 4, 0, 60 * time.Second, session.AwaitingScan, ""}},
		"tick before the deadline":           {at(awaiting, func(l *linkState) { l.Deadline = testTime.Add(1) }), tick{}, result{awaiting, 4, 0, 1, session.Connecting, ""}},
		"backoff ends":                       {at(backingOff, tried(1), isDue), tick{}, result{queued, 5, 1, time.Minute, session.Connecting, ""}},
		"rejected":                           {at(awaiting), rejected{why: someReason()}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"rejected, retryable":                {at(awaiting), rejected{why: someReason(), retryable: true}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"rejected, retryable, paired":        {at(loggingIn, isPaired), rejected{why: someReason(), retryable: true}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
	})
}

// From the scan to the login, and after it.
func TestTransition_PairingAndLogin(t *testing.T) {
	t.Parallel()
	runSteps(t, map[string]transitionCase{
		"handshake reported after the login":               {at(online, isPaired), handshakeDone{}, result{online, 4, 0, 0, session.Connected, ""}},
		"scan":                                             {at(showing, shows(2)), scanned{"5550100:1@s.whatsapp.net"}, result{pairing, 4, 0, storeTimeout, session.Connecting, ""}},
		"pairing stored":                                   {at(pairing, isPaired), paired{}, result{pairing, 4, 0, restartTimeout, session.Connecting, ""}},
		"515 after a pairing":                              {at(pairing, isPaired, isStored), restart{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"515 before the pairing is stored":                 {at(pairing, isPaired), restart{}, result{pairing, 4, 0, 0, session.Connecting, ""}},
		"connection lost before the pairing is stored":     {at(pairing, isPaired), lost{someReason()}, result{pairing, 4, 0, 0, session.Connecting, ""}},
		"pairing stored after the 515":                     {at(pairing, isPaired, restartRequested), paired{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"515 before a pairing":                             {at(awaiting), restart{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"no 515":                                           {at(pairing, isPaired, isStored, isDue), tick{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"pairing is not stored in time":                    {at(pairing, isPaired, isDue), tick{}, result{idle, 4, 0, 0, session.Failed, diagnosis.PairingFailed}},
		"connection lost in place of 515":                  {at(pairing, isPaired, isStored), lost{someReason()}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"login":                                            {at(loggingIn, isPaired, tried(2)), loggedIn{}, result{online, 4, 0, 0, session.Connected, ""}},
		"no login":                                         {at(loggingIn, isPaired, isDue), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no login, third time":                             {at(loggingIn, isPaired, isDue, tried(2)), tick{}, result{backingOff, 4, 3, 4 * time.Second, session.Disconnected, diagnosis.WhatsAppSilent}},
		"no login, hundredth time":                         {at(loggingIn, isPaired, isDue, tried(99)), tick{}, result{backingOff, 4, 100, time.Minute, session.Disconnected, diagnosis.WhatsAppSilent}},
		"one ping missed while online":                     {at(online, isPaired), keepAliveMissed{1}, result{online, 4, 0, 0, session.Connected, ""}},
		"two pings missed while online":                    {at(online, isPaired), keepAliveMissed{2}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"connection lost while online, half of the jitter": {at(online, isPaired, func(l *linkState) { l.Jitter = 0.5 }), lost{someReason()}, result{backingOff, 4, 1, 1250 * time.Millisecond, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"connection lost while online":                     {at(online, isPaired), lost{someReason()}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"login after the connection is lost":               {at(backingOff), loggedIn{}, result{backingOff, 4, 0, 0, session.Connecting, ""}},
	})
}

// From the handshake to the last code.
func TestTransition_Codes(t *testing.T) {
	t.Parallel()
	runSteps(t, map[string]transitionCase{
		"codes":                                 {at(awaiting), codesReceived{someCodes()}, result{showing, 4, 0, 60 * time.Second, session.AwaitingScan, ""}},
		"codes, paired":                         {at(loggingIn, isPaired), codesReceived{someCodes()}, result{loggingIn, 4, 0, 0, session.Connecting, ""}},
		"empty set of codes":                    {at(awaiting), codesReceived{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no codes":                              {at(awaiting, isDue), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no codes, second time":                 {at(awaiting, isDue, tried(1)), tick{}, result{backingOff, 4, 2, 2 * time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no codes, third time":                  {at(awaiting, isDue, tried(2)), tick{}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppSilent}},
		"next code":                             {at(showing, isDue, shows(2)), tick{}, result{showing, 4, 0, 20 * time.Second, session.AwaitingScan, ""}},
		"last code expires":                     {at(showing, isDue, shows(1)), tick{}, result{idle, 4, 0, 0, session.Disconnected, diagnosis.QRExpired}},
		"ping missed while showing":             {at(showing, shows(2)), keepAliveMissed{1}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"connection lost while showing":         {at(showing, shows(2), tried(2)), lost{someReason()}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"connection lost right after the codes": {at(showing, justStarted, shows(2), tried(2)), lost{someReason()}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"connection lost when no client waits":  {at(showing, shows(2), noClientWaits), lost{someReason()}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"connection lost while idle":            {at(idle), lost{someReason()}, result{idle, 4, 0, 0, session.Created, ""}},
		"codes while idle":                      {at(idle), codesReceived{someCodes()}, result{idle, 4, 0, 0, session.Created, ""}},
	})
}

func TestTransition_UnlinkedDeviceStopsInEveryPhase(t *testing.T) {
	t.Parallel()
	for _, p := range []phase{idle, queued, dialing, loggingIn, online, backingOff, pairing} {
		l := linkState{Phase: p, JID: "5550100:1@s.whatsapp.net"}
		l = transition(rejected{why: newReason(diagnosis.LoggedOut, ""), unlinked: true}, l, testTime)
		if l.JID != "" || l.Phase != idle || l.state() != session.Disconnected {
			t.Errorf("in phase %q: %+v", p, l)
		}
	}
}
