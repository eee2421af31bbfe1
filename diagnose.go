package qrgate

import (
	"fmt"
	"time"
)

// Climate is what the gate sees beyond one session: how the caller's other sessions and its store fare.
type Climate struct {
	Alike   int           // sessions that fail in the same way right now, this one included
	Fine    int           // sessions that got a QR within the last five minutes
	Waiting time.Duration // until the engine's budget allows another look; 0 when it allows one now
}

// PatienceTime is how long an acquisition may take before its silence is a symptom.
const PatienceTime = 8 * time.Second

// Diagnose names the cause why session s has no QR at now, with its evidence. Causes come before their
// consequences. None means that nothing is wrong, or nothing yet.
func Diagnose(s Session, c Climate, now time.Time) Diagnosis {
	if s.State == Connected {
		return About(AlreadyPaired, "the engine reports the session as connected")
	}
	if s.QR.Fresh(now) {
		return Diagnosis{Code: None}
	}
	if d := fromWords(s); !d.Healthy() {
		return d
	}
	if d := fromTrouble(s, c, now); !d.Healthy() {
		return d
	}
	return fromSilence(s, c, now)
}

// fromTrouble reads the engine's present failure. One failure is chance; two in a row or two seconds are not.
func fromTrouble(s Session, c Climate, now time.Time) Diagnosis {
	t := s.Trouble
	if t.Kind == KeyRefused {
		return About(KeyRejected, t.line(now))
	}
	if t.Times < 2 && t.Lasted(now) < 2*time.Second {
		return Diagnosis{Code: None}
	}
	switch t.Kind {
	case Unreachable:
		return About(EngineUnreachable, t.line(now))
	case TimedOut:
		return About(EngineTimeout, t.line(now))
	case BadAnswer:
		return About(EngineBadAnswer, t.line(now))
	case RateLimited:
		return About(Throttled, t.line(now))
	case EngineError:
		if t.Op == OpConnect {
			return About(ConnectFailing, t.line(now))
		}
		return About(EngineFailing, t.line(now))
	case UnknownSession:
		if s.Lost {
			return About(EngineRestarted, t.line(now))
		}
		return About(SessionNotFound, t.line(now))
	}
	return Diagnosis{Code: None}
}

// fromSilence reads an engine that answers, and makes no QR.
func fromSilence(s Session, c Climate, now time.Time) Diagnosis {
	switch {
	case c.Waiting > 5*time.Second && s.State == Connecting:
		return About(Throttled, fmt.Sprintf("the next look at the engine is allowed in %s", c.Waiting.Round(time.Second)))
	case s.Sequence > 0 && !s.QR.Present() && !s.Lost:
		return About(QRExpired, fmt.Sprintf("%d codes were shown since the connect", s.Sequence))
	case s.State != Connecting && s.State != Failed, s.Connect.IsZero():
		return Diagnosis{Code: None}
	}
	if waited := now.Sub(s.Connect); waited > PatienceTime {
		line := fmt.Sprintf("connect was accepted %s ago and no QR came in %d looks", waited.Round(time.Second), s.Looks)
		if c.Alike <= 1 && c.Fine > 0 {
			return About(SessionStuck, line, fmt.Sprintf("%d other sessions got their QR", c.Fine))
		}
		return About(QRNotEmitted, line)
	}
	return Diagnosis{Code: None}
}

// line is the trouble as one sentence of evidence.
func (t Trouble) line(now time.Time) string {
	s := fmt.Sprintf("%s: %s", t.Op, t.Kind)
	if t.Status != 0 {
		s += fmt.Sprintf(", HTTP %d", t.Status)
	}
	if t.Code != "" {
		s += " " + t.Code
	}
	return fmt.Sprintf("%s, %d× in %s", s, t.Times, t.Lasted(now).Round(time.Second))
}
