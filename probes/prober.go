// Package probes runs a client's calls on a schedule and reports whether they still lead to a QR.
//
// There are three probes. engine_health asks whether the engine responds; create_delete creates and deletes a session;
// create_connect_qr creates a session, connects it, waits for its QR, decodes it and deletes the session. Probes are
// clients: they know a URL and a key.
//
//	record the intent            durable, before the session exists
//	create → connect → qr → validate
//	cleanup                      always, on a context of its own; then the intent is removed
//
// A probe is a sequence of steps. One runner serves the schedule ([Prober.Run]), the command line ([Prober.Once]) and
// the operators' port ([Prober.Handler]). Package doctor uses the same steps on a [Session].
//
// Guarantees: a probe touches no session that it did not create, never pairs, and leaves no session behind. A process
// that is killed leaves an [Intent], and the janitor of the next one deletes that session and no other.
package probes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"qrgate/compat"
	"qrgate/internal/diagnosis"
	"qrgate/internal/session"
)

// sessionPrefix begins the name of every probe session: syn-<probe>-<instance>-<number>. It is for people; nothing is
// ever deleted because of its name.
const sessionPrefix = "syn-"

// maxSessions is how many probe sessions exist at once.
const maxSessions = 2

// maxOrphans is how many undeleted sessions a target may have before no new one is created there.
const maxOrphans = 10

// errShutdown cancels the runs in progress when the prober stops.
var errShutdown = errors.New("the prober stops")

// Prober runs probes: on schedule, once, or on request. Make it with [New]; it is safe for concurrent use.
type Prober struct {
	cfg        Config
	targets    map[string]Target
	instanceID string // the second of the start and 40 random bits
	runs       atomic.Int64
	leader     *leader
	results    *results
	slots      chan struct{} // one per session that may exist
	active     sync.Map      // the names of the sessions whose runs are in progress

	sweepMu   sync.Mutex
	firstOnce sync.Once // sweeps before the first run of Once
	throttle  throttle
}

// New returns a prober. It does no I/O and starts nothing. The error names the wrong setting.
func New(cfg Config) (*Prober, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Prober{
		cfg: cfg, targets: map[string]Target{}, results: newResults(), slots: make(chan struct{}, maxSessions),
		instanceID: strconv.FormatInt(time.Now().Unix(), 36) + randomName(8),
		throttle:   throttle{last: map[string]time.Time{}},
	}
	for _, t := range append([]Target{cfg.Target}, cfg.Others...) {
		if _, exists := p.targets[t.Name]; exists {
			return nil, fmt.Errorf("probes: two targets have the name %q", t.Name)
		}
		if t.Client == nil {
			t.Client = newHTTPClient()
		}
		p.targets[t.Name] = t
	}
	p.leader = &leader{leases: cfg.Leases, owner: p.instanceID, onChange: p.reportLeadership}
	return p, nil
}

// History returns the last results of every probe, newest first. Failures are kept longer than successes.
func (p *Prober) History() []Result { return p.results.all() }

// RunsOnOtherReplica reports whether another replica runs a scheduled probe.
func (p *Prober) RunsOnOtherReplica(name string) bool {
	role, _ := p.leader.current()
	return p.cfg.Leases != nil && role == following && catalog[name].makesSession
}

// Once runs one probe against the configured target, whatever this replica's role. The observer does not count it. An
// unknown name is a skipped run.
func (p *Prober) Once(ctx context.Context, name string) Result {
	return p.runManually(ctx, runRequest{probe: name, target: p.cfg.Target.Name})
}

// runRequest is what to run.
type runRequest struct {
	probe, target string
	limit         time.Duration // 0: the probe's own
	isManual      bool          // requested by a person or a scrape
}

func (p *Prober) runManually(ctx context.Context, request runRequest) Result {
	request.isManual = true
	if catalog[request.probe].makesSession {
		p.firstOnce.Do(func() { p.sweep(ctx) })
	}
	result := p.execute(ctx, request)
	p.record(result)
	return result
}

// execute does one run.
func (p *Prober) execute(ctx context.Context, request runRequest) Result {
	kind, known := catalog[request.probe]
	r := p.newRun(request)
	if !known {
		r.skip(SkipInternal, fmt.Sprintf("unknown probe %q; the probes are %s", request.probe, nameList()))
		return r.result
	}
	limit := p.limit(kind, request.limit)
	if kind.makesSession {
		release := p.acquireSlot(ctx, r)
		if release == nil {
			return r.result
		}
		defer release()
	}
	r.result.StartedAt = time.Now()
	r.until = r.result.StartedAt.Add(limit + 2*cleanupTimeout)
	defer r.session.Client.CloseIdleConnections() // the next run opens its own, as a client does
	ctx, end := p.cfg.Span(ctx, "probe.run "+request.probe,
		slog.String("user_agent.synthetic.type", "test"), slog.String("qrgate.probe.name", request.probe),
		slog.String("qrgate.probe.run_id", r.result.ID), slog.String("qrgate.lease.epoch", p.instanceID))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r.walk(ctx, kind)
	r.result.Seconds = time.Since(r.result.StartedAt).Seconds()
	end(r.result.Code())
	return r.result
}

func (p *Prober) newRun(request runRequest) *run {
	id := request.probe + "-" + p.instanceID + "-" + strconv.FormatInt(p.runs.Add(1), 10)
	r := &run{p: p, isManual: request.isManual, result: Result{
		ID: id, Probe: request.probe, Target: request.target, StartedAt: time.Now(), Steps: []Step{},
	}}
	if catalog[request.probe].makesSession {
		r.result.Session = sessionPrefix + id
	}
	r.session = p.targetSession(request.target, r.result.Session)
	r.session.Intents = p.cfg.Intents
	return r
}

// targetSession is a session at a target. Closing idle connections is the caller's.
func (p *Prober) targetSession(target, name string) *Session {
	t := p.targets[target]
	return &Session{
		Client: &compat.Client{BaseURL: t.URL, Transport: t.Client.Transport, UserAgent: "qrgate-probe"},
		Caller: session.Caller{Key: t.Key}, Ref: session.Ref{Name: name},
	}
}

// acquireSlot admits a run that will create a session. If it does not, the run has its result and release is nil. While
// the target does not work, the failure that keeps old sessions from being deleted is also this run's, so that a long
// outage stays an outage; otherwise the run is skipped.
func (p *Prober) acquireSlot(ctx context.Context, r *run) (release func()) {
	target := r.result.Target
	if p.results.orphansAt(target).n >= maxOrphans {
		p.sweep(ctx) // perhaps they can be deleted by now
	}
	if left := p.results.orphansAt(target); left.n >= maxOrphans {
		if r.failed = left.outage(); r.failed == nil {
			_, err := r.session.Do(ctx, compat.ListRequest(1)) // a target that only fails to delete still lists
			r.failed = callFailure(err)
		}
		if r.failed != nil {
			r.conclude(ctx)
		} else {
			r.skip(SkipBacklog, left.describe(target, p.cfg.Intents.Location()))
		}
		return nil
	}
	select {
	case p.slots <- struct{}{}:
	default:
		r.skip(SkipOverlap, fmt.Sprintf("%d other runs are in progress", maxSessions))
		return nil
	}
	p.active.Store(r.result.Session, nil)
	return func() {
		p.active.Delete(r.result.Session)
		<-p.slots
	}
}

// record stores a result and logs it if the probe's health changed.
func (p *Prober) record(r Result) {
	changed := p.results.record(r)
	attrs := []any{"probe", r.Probe, "target", r.Target, "run", r.ID, "seconds", r.Seconds}
	switch {
	case r.SkipReason == SkipInternal || r.SkipReason == SkipBacklog:
		p.cfg.Logger.Error("probe skipped", append(attrs, "reason", r.SkipReason, "problem", r.Problem)...)
	case changed && r.Healthy():
		p.cfg.Logger.Info("probe recovered", attrs...)
	case changed:
		p.cfg.Logger.Warn("probe failing", append(attrs, "diagnosis", r.Code(), "evidence", r.Diagnosis.Evidence)...)
	}
}

// noLeaderResult is the result of a run that does not happen because the store is unavailable and no replica can lead.
// A skipped run would look healthy.
func (p *Prober) noLeaderResult(name string) Result {
	r := p.newRun(runRequest{probe: name, target: p.cfg.Target.Name})
	d := diagnosis.New(diagnosis.RedisUnavailable, "no replica can become the leader, so no session was created")
	r.result.Outcome, r.result.Diagnosis, r.result.Session = session.Failure, &d, ""
	return r.result
}
