package notify

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// alert is one condition that notifies, with the words, delays and inhibitions of the Prometheus rule of that name. A
// test compares them with dashboards/.
type alert struct {
	name        string
	summary     string
	description string
	delay       time.Duration // how long the condition must hold before the alert fires
	keep        time.Duration // how long the alert keeps firing afterwards
	inhibitedBy []string
	check       func(o *observations, now time.Time) (active bool, affected string)
}

// alerts are in the order in which they are judged and sent: causes before their symptoms.
func alerts() []alert {
	return []alert{
		{
			name: "QRGateEngineDown", summary: "No replica gets a response from the engine",
			description: "No user can get a QR, and requests that pass through fail too.",
			delay:       30 * time.Second, keep: 7 * time.Minute,
			check: func(o *observations, _ time.Time) (bool, string) { return o.isEngineDown, "all users" },
		},
		{
			name: "QRGateRedisDown", summary: "No replica reaches Redis",
			description: "Users are served from the in-memory store. No probe acquires a QR (redis_unavailable), so an " +
				"outage would not be detected; each replica polls the engine by itself, and a client that changes replicas " +
				"waits again.",
			delay: 30 * time.Second, keep: 7 * time.Minute,
			check: func(o *observations, _ time.Time) (bool, string) { return o.isStoreDown, "the probes" },
		},
		{
			name: "QRGateClientOutdated", summary: "WhatsApp refuses this version of the engine's library",
			description: "No session can be paired until the engine is updated. Waiting and restarting do not help.",
			delay:       30 * time.Second, keep: 10 * time.Minute,
			check: func(o *observations, now time.Time) (bool, string) {
				return isWithin(o.outdatedAt, now, 10*time.Minute), "all users"
			},
		},
		{
			name: whatsAppUnreachable, summary: "This host cannot connect to WhatsApp",
			description: "qrgate's own check of the connection fails. No session of this host can be paired.",
			delay:       time.Minute, keep: 2 * time.Minute,
			check: func(o *observations, _ time.Time) (bool, string) { return o.whatsApp != "", "all users" },
		},
		{
			name: "QRGateNoQRDelivered", summary: "No user got a QR for three minutes",
			description: "Requests for a QR failed for causes that affect all users, and none succeeded.",
			delay:       time.Minute, keep: 2 * time.Minute,
			inhibitedBy: []string{"QRGateEngineDown", "QRGateClientOutdated"},
			check:       (*observations).checkNoQR,
		},
		{
			name: "QRGateProbeStale", summary: "The probe create_connect_qr has not run",
			description: "Monitoring is off: only users would notice an outage.",
			delay:       time.Minute,
			check: func(o *observations, now time.Time) (bool, string) {
				return o.isOverdue(o.LastRunAt, 2.5, now), "the probe"
			},
		},
		{
			name: "QRGateProbeNotSucceeding", summary: "The probe create_connect_qr has not succeeded",
			description: "Users are probably affected too.",
			delay:       time.Minute, keep: 2 * time.Minute,
			inhibitedBy: []string{"QRGateEngineDown", "QRGateRedisDown", "QRGateClientOutdated", "QRGateProbeStale"},
			check: func(o *observations, now time.Time) (bool, string) {
				return o.isOverdue(o.LastSuccessAt, 3, now), "the probe"
			},
		},
	}
}

// whatsAppUnreachable has no Prometheus rule: the check's result is a diagnosis there.
const whatsAppUnreachable = "QRGateWhatsAppUnreachable"

// The thresholds of QRGateNoQRDelivered.
const (
	minFailedWaits = 5
	failedWindow   = 3 * time.Minute
	minConnecting  = 3
	connectWindow  = 15 * time.Minute
)

// affectsAllUsers reports whether a cause is not about one session, one account or one caller.
func affectsAllUsers(code diagnosis.Code) bool {
	switch code {
	case diagnosis.EngineRestarted, diagnosis.SessionStuck, diagnosis.SessionLimit:
		return false
	case diagnosis.QRNotEmitted, diagnosis.Internal:
		return true
	}
	return slices.Contains([]diagnosis.Part{
		diagnosis.ThisMachine, diagnosis.Network, diagnosis.WhatsApp, diagnosis.Engine,
	}, code.Part())
}

// recent holds the times of the last events of a kind, the oldest first.
type recent struct {
	at  []time.Time
	max int
}

func (r *recent) add(at time.Time) {
	if r.at = append(r.at, at); len(r.at) > r.max {
		r.at = slices.Delete(r.at, 0, 1)
	}
}

// isFull reports whether max events were within a window.
func (r *recent) isFull(now time.Time, window time.Duration) bool {
	return len(r.at) == r.max && isWithin(r.at[0], now, window)
}

func isWithin(at, now time.Time, window time.Duration) bool {
	return !at.IsZero() && now.Sub(at) <= window
}

// probeRuns are the last runs of the deep probe, on any replica. They are stored, because another replica may run the
// probe, and a restart must not end an alert. Times older than maxRunAge do not count.
type probeRuns struct {
	LastRunAt     time.Time      `json:"lastRunAt,omitzero"`
	LastSuccessAt time.Time      `json:"lastSuccessAt,omitzero"`
	Cause         diagnosis.Code `json:"cause,omitempty"` // of the last run
}

const maxRunAge = time.Hour

// merge takes what is newer in other.
func (r *probeRuns) merge(other probeRuns, now time.Time) {
	if other.LastRunAt.After(r.LastRunAt) && isWithin(other.LastRunAt, now, maxRunAge) {
		r.LastRunAt, r.Cause = other.LastRunAt, other.Cause
	}
	if other.LastSuccessAt.After(r.LastSuccessAt) && isWithin(other.LastSuccessAt, now, maxRunAge) {
		r.LastSuccessAt = other.LastSuccessAt
	}
}

// observations are what this replica knows. Only the newest events matter, so they have a fixed size.
type observations struct {
	startedAt time.Time

	mu sync.Mutex
	probeRuns
	isRunUnsaved              bool // probeRuns has a run of this replica that is not stored
	failedWaits, connecting   recent
	successAt, outdatedAt     time.Time
	maintenanceAt             time.Time
	isEngineDown, isStoreDown bool
	whatsApp                  diagnosis.Code // cause of a failing connectivity check; "" if it succeeds
	probeInterval             time.Duration  // 0 without a deep probe
	cause                     diagnosis.Code // of the newest failure
}

func newObservations(interval time.Duration, now time.Time) *observations {
	return &observations{
		startedAt: now, probeInterval: interval,
		failedWaits: recent{max: minFailedWaits}, connecting: recent{max: minConnecting},
	}
}

// observe records an event of an acquisition, a wait, an engine call or the store.
func (o *observations) observe(e session.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if up, known := e.EngineUp(); known && e.Kind == session.EventEngineCall {
		o.isEngineDown = !up
	}
	switch e.Kind {
	case session.EventStore:
		o.isStoreDown = !e.Available
	case session.EventState:
		if e.To == session.Connecting {
			o.connecting.add(e.At)
		}
	case session.EventWait, session.EventAcquisition:
		o.fail(e.Diagnosis, e.At)
		if e.Kind != session.EventWait || e.Traffic == session.SyntheticTraffic {
			return
		}
		switch {
		case e.Outcome == session.Success:
			o.successAt = e.At
		case e.Outcome == session.Failure && affectsAllUsers(e.Diagnosis):
			o.failedWaits.add(e.At)
		}
	}
}

// fail remembers the cause of a failure.
func (o *observations) fail(cause diagnosis.Code, at time.Time) {
	if affectsAllUsers(cause) {
		o.cause = cause
	}
	if cause == diagnosis.ClientOutdated {
		o.outdatedAt = at
	}
}

// observeHealth records a health check of the engine.
func (o *observations) observeHealth(cause diagnosis.Code) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if up, known := session.EngineUp(cause); known {
		o.isEngineDown = !up
	}
}

// observeRun records a run of the deep probe.
func (o *observations) observeRun(cause diagnosis.Code, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.LastRunAt, o.Cause, o.isRunUnsaved = at, cause, true
	if o.fail(cause, at); cause == diagnosis.None {
		o.LastSuccessAt = at
	}
}

// checkNoQR judges QRGateNoQRDelivered: one session that polls repeatedly is not all users.
func (o *observations) checkNoQR(now time.Time) (active bool, affected string) {
	active = o.failedWaits.isFull(now, failedWindow) && !isWithin(o.successAt, now, failedWindow) &&
		o.connecting.isFull(now, connectWindow)
	return active, fmt.Sprintf("at least %d requests of users in 3 minutes", minFailedWaits)
}

// isOverdue reports whether a run of the deep probe is overdue. A planned maintenance does not count.
func (o *observations) isOverdue(last time.Time, intervals float64, now time.Time) bool {
	if last.IsZero() {
		last = o.startedAt
	}
	limit := time.Duration(intervals * float64(o.probeInterval))
	return limit > 0 && now.Sub(last) > limit && !isWithin(o.maintenanceAt, now, 15*time.Minute)
}

// finding is the result of one check.
type finding struct {
	affected string
	cause    diagnosis.Code
}

// judge returns the alerts whose condition holds.
func (o *observations) judge(now time.Time) map[string]finding {
	o.mu.Lock()
	defer o.mu.Unlock()
	findings := map[string]finding{}
	for _, a := range alerts() {
		if active, affected := a.check(o, now); active {
			findings[a.name] = finding{affected, o.causeOf(a.name)}
		}
	}
	return findings
}

// causeOf returns the diagnosis that explains an alert.
func (o *observations) causeOf(name string) diagnosis.Code {
	switch name {
	case "QRGateRedisDown":
		return diagnosis.RedisUnavailable
	case "QRGateClientOutdated":
		return diagnosis.ClientOutdated
	case "QRGateEngineDown":
		if o.cause == "" || o.cause.Part() != diagnosis.Engine {
			return diagnosis.EngineUnreachable
		}
	case whatsAppUnreachable:
		return o.whatsApp
	case "QRGateProbeStale":
		return ""
	case "QRGateProbeNotSucceeding":
		return o.Cause
	}
	return o.cause
}
