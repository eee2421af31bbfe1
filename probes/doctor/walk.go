package doctor

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// Prefix begins the name of every session that an examination makes. It is for people: nothing is ever
// deleted for its name.
const Prefix = "doctor-"

func newName() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return Prefix + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// cleanupTime bounds the deletion, which does not hear of a cancelled examination.
const cleanupTime = 10 * time.Second

// walk goes the way of a client with a session of its own.
func (e *run) walk(ctx context.Context) {
	name := newName()
	ref := session.Ref{Name: name}
	if e.RecordIntent != nil {
		if err := e.RecordIntent(ctx, name); err != nil {
			e.found.unnoted = true
			e.note(Check{Name: CheckCreate, Detail: "not tried: what is to be deleted could not be written down: " + err.Error()})
			return
		}
	}
	none := false // certainly
	created := e.check(ctx, CheckCreate, func() (string, *session.EngineError) {
		made, f := e.create(ctx, name)
		ref, none = ref.Merge(made.ref), made.none
		return "created " + name, f
	})
	whatever := context.WithoutCancel(ctx)
	if none {
		e.notify(whatever, e.Done, name)
		return
	}
	e.out.Session = name
	if created {
		e.found.walked = true
		e.session(ctx, ref)
	}
	e.cleanup(whatever, ref, created)
}

// cleanup deletes the session, or hands it over to whoever comes next: also one that a create may still bring,
// whose answer never came.
func (e *run) cleanup(ctx context.Context, ref session.Ref, created bool) {
	absent := false
	e.out.LeftBehind = !e.check(ctx, CheckCleanup, func() (detail string, f *session.EngineError) {
		ctx, cancel := context.WithTimeout(ctx, cleanupTime)
		defer cancel()
		absent, f = e.erase(ctx, ref, created)
		if absent {
			return "there is no " + ref.Name, f
		}
		return "deleted " + ref.Name, f
	})
	if e.out.LeftBehind || absent && !created {
		e.notify(ctx, e.Left, ref.Name)
		return
	}
	e.notify(ctx, e.Done, ref.Name)
}

// notify tells somebody of the session, if there is somebody. What they make of it changes no finding: a session
// that is deleted twice does no harm, and one that is not handed over is due a little later.
func (e *run) notify(ctx context.Context, who func(context.Context, string) error, session string) {
	if who != nil {
		_ = who(ctx, session)
	}
}

// session connects and waits for the QR. What it sees it believes as the gate would.
func (e *run) session(ctx context.Context, ref session.Ref) {
	s := session.Session{Ref: ref, State: session.Created, CreatedHere: true}
	e.check(ctx, CheckConnect, func() (string, *session.EngineError) {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		var f *session.EngineError
		s, f = e.connect(ctx, s)
		return "accepted", f
	})
	if s.Recovery.FailedConnects == 0 && ctx.Err() == nil {
		s = e.waitForQR(ctx, s)
	}
	e.found.session, e.found.seen = s, time.Now()
}

// waitForQR waits for the QR. The patience counts from the connect on, as every other wait for a QR does.
func (e *run) waitForQR(ctx context.Context, s session.Session) session.Session {
	began := time.Now()
	waiting, cancel := context.WithTimeout(ctx, e.Patience)
	defer cancel()
	s = e.await(waiting, s)
	took := time.Since(began)
	ok, detail := e.read(s.QR)
	if ok {
		detail = fmt.Sprintf("a code after %.1f s, in %d looks%s", took.Seconds(), s.Polls, detail)
	} else if detail == "" {
		detail = fmt.Sprintf("none in %d looks", s.Polls)
	}
	e.note(unlessStopped(ctx, Check{CheckQR, ok, took.Round(time.Millisecond).Seconds(), detail}))
	return s
}

// read looks at the picture of a code as a phone would, if there is one. The detail says what it shows, or why it is
// no QR.
func (e *run) read(q session.QR) (ok bool, detail string) {
	if !q.Present() || e.Legible == nil {
		return q.Present(), ""
	}
	shows, err := e.Legible(q.Image)
	if err != nil {
		e.found.invalidQR = err.Error()
		return false, err.Error()
	}
	return true, ", " + shows
}

// connectTime bounds all tries of the connect.
const connectTime = 30 * time.Second

// connectTries are the pauses before a connect that failed is tried again: engines are known to fail once.
var connectTries = []time.Duration{0, time.Second, 2 * time.Second}

func (e *run) connect(ctx context.Context, s session.Session) (session.Session, *session.EngineError) {
	var f *session.EngineError
	for _, pause := range connectTries {
		if !wait(ctx, pause) {
			break
		}
		_, err := e.Engine.Connect(ctx, e.caller(), s.Ref, session.Connect)
		if f = faultOf(err); f == nil {
			return s.AfterConnect(session.Connect, time.Now()), nil
		}
		s = s.AfterConnectError(f, time.Now())
		if f.Kind != session.KindServerError && f.Kind != session.KindTimeout {
			break
		}
	}
	return s, f
}

// Pauses between looks: within a third of the thirty calls a minute that an engine allows.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 4 * time.Second
)

// await looks for the QR, and now and then at the state, where engines say why there is none. It ends with a
// QR, with a cause that patience does not change, or with the patience.
func (e *run) await(ctx context.Context, s session.Session) session.Session {
	pause := firstPause
	for looks := 1; wait(ctx, pause); looks++ {
		look := e.Engine.QR
		if looks%3 == 0 {
			look = e.Engine.Status
		}
		began := time.Now()
		o, err := look(ctx, e.caller(), s.Ref)
		if ctx.Err() != nil {
			break
		}
		failed := faultOf(err)
		e.answered(time.Since(began), failed)
		if failed != nil && failed.Kind != session.KindNotReady && failed.Op != session.OpStatus { // engines deny there what they serve elsewhere (contract C18)
			e.found.pollErrors = append(e.found.pollErrors, failed)
		}
		s = s.AfterPoll(o, err, time.Now())
		if err == nil {
			s.History = s.History.RecordDisconnect(o, time.Now())
		}
		if s.QR.Present() || e.decided(s) {
			break
		}
		pause = min(pause*2, lastPause)
	}
	return s
}

// decided reports whether waiting longer would tell nothing new.
func (e *run) decided(s session.Session) bool {
	switch session.Diagnose(s, session.Environment{}, time.Now()).Code {
	case diagnosis.None, diagnosis.QRNotEmitted, diagnosis.Undetermined:
		return false
	}
	return true
}

// wait waits, and reports false when ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
