package embedded

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qrgate/internal/diagnosis"
	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// noon is the moment at which all events of these tables happen.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// result is what matters of the link that follows.
type result struct {
	Phase phase
	Line  int
	Tries int
	Due   time.Duration // from noon; 0 is never
	State session.State
	Why   diagnosis.Code
}

type step struct {
	link linkState
	e    event
	want result
}

// The ways in which a link differs from the plain one of at.
type change func(*linkState)

func linked(l *linkState)    { l.JID = "5550100:1@s.whatsapp.net" }
func due(l *linkState)       { l.Deadline = noon }
func forgotten(l *linkState) { l.Wanted = noon.Add(-time.Second) }
func stored(l *linkState)    { l.Pairing.Stored = true }
func hungUp(l *linkState)    { l.Pairing.Restart = true }
func failed(l *linkState)    { l.Last = whyDown() }
func young(l *linkState)     { l.Since = noon }

func tried(n int) change { return func(l *linkState) { l.Attempts = n } }

// shows has n codes left, the one that is shown included.
func shows(n int) change {
	return func(l *linkState) { l.Codes, l.Sequence, l.Seen = someCodes()[:n], 3-n, noon.Add(-20*time.Second) }
}

func someCodes() []secret.Secret {
	return []secret.Secret{secret.NewSecret("one"), secret.NewSecret("two")}
}

// at is a link whose phase began a minute ago on its fourth line, wanted for another minute.
func at(p phase, changes ...change) linkState {
	l := linkState{Phase: p, Since: noon.Add(-time.Minute), Generation: 4, Wanted: noon.Add(time.Minute)}
	for _, c := range changes {
		c(&l)
	}
	return l
}

func whyDown() reason { return newReason(diagnosis.WhatsAppUnavailable, "a sentence") }

// walk takes each step.
func walk(t *testing.T, steps map[string]step) {
	t.Helper()
	for name, s := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := transition(s.e, s.link, noon)
			got := result{l.Phase, l.Generation, l.Attempts, 0, l.state(), l.Last.Code}
			if !l.Deadline.IsZero() {
				got.Due = l.Deadline.Sub(noon)
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

// What people wish, and what a restart of the process brings back.
func TestAfterDemands(t *testing.T) {
	t.Parallel()
	walk(t, map[string]step{
		"connect begins":                 {at(idle, tried(2)), connectRequested{}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"connect after a failure":        {at(idle, failed), connectRequested{}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"a connect in a bad time":        {at(backingOff, failed), connectRequested{}, result{backingOff, 4, 0, 0, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"connect of a linked one":        {at(idle, linked), connectRequested{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"connect while dialing":          {at(dialing, due), connectRequested{}, result{dialing, 4, 0, 0, session.Connecting, ""}},
		"connect while a code is shown":  {at(showing, shows(2)), connectRequested{}, result{showing, 4, 0, 0, session.AwaitingScan, ""}},
		"connect while resting":          {at(backingOff, tried(1)), connectRequested{}, result{backingOff, 4, 1, 0, session.Connecting, ""}},
		"connect while resting, linked":  {at(backingOff, tried(5), linked), connectRequested{}, result{queued, 5, 5, 0, session.Disconnected, ""}},
		"connect while online":           {at(online, linked), connectRequested{}, result{online, 4, 0, 0, session.Connected, ""}},
		"force while a code is shown":    {at(showing, shows(2)), connectRequested{force: true}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"force while resting":            {at(backingOff, tried(1)), connectRequested{force: true}, result{queued, 5, 0, interestTTL, session.Connecting, ""}},
		"force while online":             {at(online, linked), connectRequested{force: true}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"force does not disturb a phone": {at(pairing, linked), connectRequested{force: true}, result{pairing, 4, 0, 0, session.Connecting, ""}},
		"a process comes back":           {at(idle, linked), resume{time.Second}, result{backingOff, 4, 0, time.Second, session.Connecting, ""}},
		"it comes back, unlinked":        {at(idle), resume{}, result{idle, 4, 0, 0, session.Created, ""}},
		"it comes back, paused":          {at(idle, linked, func(l *linkState) { l.Paused = true }), resume{}, result{idle, 4, 0, 0, session.Disconnected, ""}},
		"disconnect":                     {at(online, linked), stopRequested{stay: true}, result{idle, 4, 0, 0, session.Disconnected, ""}},
	})
}

// From the wish to the handshake, and what ends a line for good.
func TestAfterDialing(t *testing.T) {
	t.Parallel()
	walk(t, map[string]step{
		"its turn comes":                 {at(queued), dialStarted{}, result{dialing, 4, 0, dialTime, session.Connecting, ""}},
		"its turn never comes":           {at(queued, due), tick{}, result{idle, 4, 0, 0, session.Failed, diagnosis.EngineOverloaded}},
		"handshake":                      {at(dialing), handshakeDone{}, result{awaiting, 4, 0, codesTime, session.Connecting, ""}},
		"handshake of a linked one":      {at(dialing, linked), handshakeDone{}, result{loggingIn, 4, 0, loginTime, session.Connecting, ""}},
		"handshake told after the codes": {at(showing, shows(2)), handshakeDone{}, result{showing, 4, 0, 0, session.AwaitingScan, ""}},
		"handshake never ends":           {at(dialing, due), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"codes before the handshake":     {at(dialing), codesReceived{someCodes()}, result{showing, 4, 0, 60 * time.Second, session.AwaitingScan, ""}},
		"a watchdog too early":           {at(awaiting, func(l *linkState) { l.Deadline = noon.Add(1) }), tick{}, result{awaiting, 4, 0, 1, session.Connecting, ""}},
		"the rest is over":               {at(backingOff, tried(1), due), tick{}, result{queued, 5, 1, time.Minute, session.Connecting, ""}},
		"refused":                        {at(awaiting), rejected{why: whyDown()}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"refused mildly":                 {at(awaiting), rejected{why: whyDown(), retryable: true}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"refused mildly, linked":         {at(loggingIn, linked), rejected{why: whyDown(), retryable: true}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
	})
}

// From the scan to the login, and after it.
func TestAfterLinking(t *testing.T) {
	t.Parallel()
	walk(t, map[string]step{
		"handshake told after the login": {at(online, linked), handshakeDone{}, result{online, 4, 0, 0, session.Connected, ""}},
		"a scan":                         {at(showing, shows(2)), scanned{"5550100:1@s.whatsapp.net"}, result{pairing, 4, 0, restartTime, session.Connecting, ""}},
		"pairing stored":                 {at(pairing, linked), paired{}, result{pairing, 4, 0, 0, session.Connecting, ""}},
		"515 after a pairing":            {at(pairing, linked, stored), restart{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"515 overtakes the signature":    {at(pairing, linked), restart{}, result{pairing, 4, 0, 0, session.Connecting, ""}},
		"a cut overtakes it":             {at(pairing, linked), lost{whyDown()}, result{pairing, 4, 0, 0, session.Connecting, ""}},
		"the signature is overtaken":     {at(pairing, linked, hungUp), paired{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"515 before one":                 {at(awaiting), restart{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"no 515":                         {at(pairing, linked, due), tick{}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"a cut in place of 515":          {at(pairing, linked, stored), lost{whyDown()}, result{queued, 5, 0, 0, session.Connecting, ""}},
		"login":                          {at(loggingIn, linked, tried(2)), loggedIn{}, result{online, 4, 0, 0, session.Connected, ""}},
		"no login":                       {at(loggingIn, linked, due), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no login, the third time":       {at(loggingIn, linked, due, tried(2)), tick{}, result{backingOff, 4, 3, 4 * time.Second, session.Disconnected, diagnosis.WhatsAppSilent}},
		"no login, the hundredth time":   {at(loggingIn, linked, due, tried(99)), tick{}, result{backingOff, 4, 100, time.Minute, session.Disconnected, diagnosis.WhatsAppSilent}},
		"a ping lost while online":       {at(online, linked), keepAliveMissed{1}, result{online, 4, 0, 0, session.Connected, ""}},
		"two pings lost while online":    {at(online, linked), keepAliveMissed{2}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"a cut while online":             {at(online, linked), lost{whyDown()}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"a late login":                   {at(backingOff), loggedIn{}, result{backingOff, 4, 0, 0, session.Connecting, ""}},
	})
}

// From the handshake to the last code.
func TestAfterCodes(t *testing.T) {
	t.Parallel()
	walk(t, map[string]step{
		"codes":                          {at(awaiting), codesReceived{someCodes()}, result{showing, 4, 0, 60 * time.Second, session.AwaitingScan, ""}},
		"codes for a linked one":         {at(loggingIn, linked), codesReceived{someCodes()}, result{loggingIn, 4, 0, 0, session.Connecting, ""}},
		"an empty set of codes":          {at(awaiting), codesReceived{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no codes":                       {at(awaiting, due), tick{}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no codes, the second time":      {at(awaiting, due, tried(1)), tick{}, result{backingOff, 4, 2, 2 * time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"no codes, the third time":       {at(awaiting, due, tried(2)), tick{}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppSilent}},
		"the next code":                  {at(showing, due, shows(2)), tick{}, result{showing, 4, 0, 20 * time.Second, session.AwaitingScan, ""}},
		"the last code ends":             {at(showing, due, shows(1)), tick{}, result{idle, 4, 0, 0, session.Disconnected, diagnosis.QRExpired}},
		"a ping lost while a code shows": {at(showing, shows(2)), keepAliveMissed{1}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppSilent}},
		"a cut while a code shows":       {at(showing, shows(2), tried(2)), lost{whyDown()}, result{backingOff, 4, 1, time.Second, session.Connecting, diagnosis.WhatsAppUnavailable}},
		"a cut right after the codes":    {at(showing, young, shows(2), tried(2)), lost{whyDown()}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"a cut when nobody waits":        {at(showing, shows(2), forgotten), lost{whyDown()}, result{idle, 4, 0, 0, session.Failed, diagnosis.WhatsAppUnavailable}},
		"late news of a cut":             {at(idle), lost{whyDown()}, result{idle, 4, 0, 0, session.Created, ""}},
		"late codes":                     {at(idle), codesReceived{someCodes()}, result{idle, 4, 0, 0, session.Created, ""}},
	})
}

// A device that is taken away is gone in every phase, and a session that lost it shows that.
func TestUnlinkedInEveryPhase(t *testing.T) {
	t.Parallel()
	for _, p := range []phase{idle, queued, dialing, loggingIn, online, backingOff, pairing} {
		l := linkState{Phase: p, JID: "5550100:1@s.whatsapp.net"}
		l = transition(rejected{why: newReason(diagnosis.LoggedOut, ""), unlinked: true}, l, noon)
		if l.JID != "" || l.Phase != idle || l.state() != session.Disconnected {
			t.Errorf("in phase %q: %+v", p, l)
		}
	}
}
