package acquire

import (
	"testing"
	"time"

	"qrgate/internal/secret"
	"qrgate/internal/session"
)

// pollRequests are requests of sessions connected at the given seconds, due at due.
func pollRequests(due float64, connectedAt ...float64) (out []*request) {
	for i, since := range connectedAt {
		s := newSession(func(s *session.Session) { s.Ref.ID = int64(i + 1) })
		out = append(out, &request{tracker: &tracker{}, action: action{kind: pollQR, at: at(due)}, since: at(since), session: &s})
	}
	return out
}

func TestBatcher_Next(t *testing.T) {
	t.Parallel()
	const list, nothing = "list", "nothing"
	alone := func(requests []*request) []*request {
		for _, r := range requests {
			r.tracker.polledAlone = true
		}
		return requests
	}
	asStatus := func(requests []*request) []*request {
		for _, r := range requests {
			r.kind = pollStatus
		}
		return requests
	}
	for name, c := range map[string]struct {
		b        batcher
		requests []*request
		now      float64
		want     string // the kind of a single poll, or list

		elsewhere int
	}{
		"nobody":                            {want: nothing},
		"nobody is due":                     {requests: pollRequests(2, 0, 0), now: 1.5, want: nothing},
		"one session":                       {requests: pollRequests(1, 0), now: 1, want: "qr"},
		"several":                           {requests: pollRequests(1, 0, 0), now: 1, want: list},
		"a list is in flight":               {b: batcher{inFlight: true}, requests: pollRequests(1, 0, 0), now: 1, want: nothing},
		"the list failed":                   {b: batcher{disabledUntil: at(16)}, requests: pollRequests(1, 0, 0), now: 1, want: "qr"},
		"it may be used again":              {b: batcher{disabledUntil: at(16), lastSingleAt: at(15)}, requests: pollRequests(17, 0, 0), now: 17, want: list},
		"sessions that it does not show":    {requests: alone(pollRequests(1, 0, 0)), now: 1, want: "qr"},
		"no code for long: verify it":       {requests: pollRequests(6, 0, 0), now: 6, want: "qr"},
		"and not by a state":                {requests: asStatus(pollRequests(6, 0, 0)), now: 6, want: "qr"},
		"verified lately":                   {b: batcher{lastSingleAt: at(4)}, requests: pollRequests(6, 0, 0), now: 6, want: list},
		"while the verification is running": {b: batcher{lastSingleAt: at(6), verifiesUntil: at(7)}, requests: pollRequests(6, 0, 0), now: 6.1, want: nothing},
		"which takes too long":              {b: batcher{lastSingleAt: at(6), verifiesUntil: at(7)}, requests: pollRequests(6, 0, 0), now: 7.1, want: list},
		"the last list was a moment ago":    {b: batcher{nextListAt: at(1.1)}, requests: pollRequests(1, 0, 0), now: 1, want: nothing},
		"another replica polls one":         {requests: pollRequests(1, 0), elsewhere: 1, now: 1, want: list},
		"but the list does not show this":   {requests: alone(pollRequests(1, 0)), elsewhere: 1, now: 1, want: "qr"},
		"a state alone":                     {requests: asStatus(pollRequests(1, 0)), now: 1, want: "status"},
	} {
		p := c.b.next(c.requests, c.elsewhere, at(c.now))
		got := nothing
		switch {
		case p.list:
			got = list
		case p.single != nil && p.single.kind == pollQR:
			got = "qr"
		case p.single != nil:
			got = "status"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// What a list means for one session that waits for its QR, and whether the list is used again.
func TestListResult_ResultFor(t *testing.T) {
	t.Parallel()
	image := secret.NewSecret("x")
	item := func(state session.State, image secret.Secret) session.SessionList {
		return session.SessionList{At: at(2), Sessions: []session.SessionReport{{Ref: session.Ref{ID: 1}, State: state, Image: image}}}
	}
	failed := func(kind session.ErrorKind) error { return &session.EngineError{Op: session.OpList, Kind: kind} }
	for name, c := range map[string]struct {
		list        session.SessionList
		err         error
		ignore      bool
		polledAlone bool
		kind        session.ErrorKind
		rest        time.Duration // for which the list is not used
	}{
		"a code":                      {list: item(session.AwaitingScan, image)},
		"no code yet":                 {list: item(session.Connecting, secret.Secret{}), kind: session.KindNotReady},
		"disconnected":                {list: item(session.Disconnected, secret.Secret{}), kind: session.KindNotReady},
		"it hides the code":           {list: item(session.AwaitingScan, secret.Secret{}), kind: session.KindNotReady, polledAlone: true},
		"paired":                      {list: item(session.Connected, secret.Secret{})},
		"it does not show it":         {list: session.SessionList{At: at(2)}, ignore: true, polledAlone: true},
		"the engine is not reachable": {err: failed(session.KindUnreachable), kind: session.KindUnreachable},
		"the key is refused":          {err: failed(session.KindKeyRefused), kind: session.KindKeyRefused},
		"too large to be read":        {err: failed(session.KindBadResponse), ignore: true, kind: session.KindBadResponse, rest: listCooldown},
		"too slow":                    {err: failed(session.KindTimeout), ignore: true, kind: session.KindTimeout, rest: listCooldown},
		"broken":                      {err: failed(session.KindServerError), ignore: true, kind: session.KindServerError, rest: listCooldown},
		"not there":                   {err: failed(session.KindSessionNotFound), ignore: true, kind: session.KindSessionNotFound, rest: listCooldown},
	} {
		var b batcher
		b.start(at(0))
		r := listResult{list: c.list, err: c.err, startedAt: at(1)}
		s := newSession()
		v := r.resultFor(&s, b.finish(r, nil, at(2)))
		if v.ignore != c.ignore || v.polledAlone != c.polledAlone || session.KindOf(v.err) != c.kind {
			t.Errorf("%s: ignore %t, polledAlone %t, %q", name, v.ignore, v.polledAlone, session.KindOf(v.err))
		}
		if want := at(2).Add(c.rest); c.rest == 0 && !b.disabledUntil.IsZero() || c.rest > 0 && !b.disabledUntil.Equal(want) {
			t.Errorf("%s: not used until %v", name, b.disabledUntil)
		}
	}
}

// A list that lacks the code which the session's own route just showed is not used for long, and proves nothing.
func TestBatcher_ListThatContradictsASinglePoll(t *testing.T) {
	t.Parallel()
	shown := newSession(codeShown) // its code was seen at 1 s
	without := session.SessionList{At: at(2), Sessions: []session.SessionReport{{Ref: session.Ref{ID: 1}, State: session.Connecting}}}
	for name, c := range map[string]struct {
		startedAt float64
		list      session.SessionList
		want      bool
	}{
		"no code":          {1.5, without, true},
		"asked before":     {0.5, without, false},
		"asked long after": {4, without, false},
		"the code":         {1.5, session.SessionList{At: at(2), Sessions: []session.SessionReport{{Ref: session.Ref{ID: 1}, Image: shown.QR.Image}}}, false},
		"scanned":          {1.5, session.SessionList{At: at(2), Sessions: []session.SessionReport{{Ref: session.Ref{ID: 1}, State: session.Connected}}}, false},
		"another session":  {1.5, session.SessionList{At: at(2), Sessions: []session.SessionReport{{Ref: session.Ref{ID: 2}}}}, false},
	} {
		var b batcher
		b.start(at(0))
		r := listResult{list: c.list, startedAt: at(c.startedAt)}
		if got := b.finish(r, &shown, at(2)); got != c.want || got != b.disabledUntil.Equal(at(2).Add(hidingListCooldown)) {
			t.Errorf("%s: contradicts %t, not used until %v", name, got, b.disabledUntil)
		}
	}
	s := newSession()
	if v := (listResult{list: without}).resultFor(&s, true); !v.ignore {
		t.Error("a list that contradicts is believed of another session")
	}
}

// A list that was read for other sessions uses up none of a session's own polls: its client's wait still has the poll
// just before it ends.
func TestPollResult_ListForOthersLeavesPollsToTheSession(t *testing.T) {
	t.Parallel()
	s := newSession(polledAt(5.5, 9))
	for seconds := 6.0; seconds < 8; seconds += 0.62 {
		notReady := &session.EngineError{Op: session.OpList, Kind: session.KindNotReady}
		p := pollResult{op: session.OpList, err: notReady, startedAt: at(seconds), isForOthers: true}
		s = p.apply(s, at(seconds))
	}
	got := nextAction(s, demand{wantsQR: true, waitEndsAt: at(9.1)}, false, at(8))
	if got.kind != pollQR || got.at.After(at(8.8)) {
		t.Errorf("the next action is %d at %v after the connect, after %d polls of its own", got.kind, got.at.Sub(t0), s.ScheduledPolls)
	}
}
