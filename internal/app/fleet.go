package app

import (
	"context"
	"net/http"
	"slices"
	"time"

	"qrgate/compat/dialect"
	"qrgate/internal/breaker"
	"qrgate/internal/diagnosis"
	"qrgate/internal/fleet"
	"qrgate/internal/session"
	"qrgate/internal/statuspage"
)

// handler serves the clients of this engine.
func (b *backend) handler() http.Handler { return b.metrics.InFlight(b.proxy) }

// drain ends the streams of this engine's clients.
func (b *backend) drain() {
	b.proxy.Drain()
	if b.probed != nil {
		b.probed.Drain()
	}
}

// member is this engine among several.
func (b *backend) member() *fleet.Member {
	m := &fleet.Member{
		Name: b.engine.Name, Identity: b.sealer.Scope(), Weight: b.engine.Weight, Handler: b.handler(),
		IsUp: b.isUp, IsHealthy: b.isHealthy, HasLink: b.proxy.HasLink, HasName: b.hasName, Find: b.find,
	}
	if b.app.cfg.NativeFront {
		m.Find = b.findNative
		m.HasName = func(ctx context.Context, c session.Caller, name string) bool {
			presence, _ := b.findNative(ctx, c, name)
			return presence == fleet.Present
		}
	}
	return m
}

// isUp reports whether the engine responds, as far as its last calls and health checks show.
func (b *backend) isUp() bool {
	isConnected := b.circuit == nil || b.circuit.State() == breaker.Closed
	return isConnected && b.recorder.EngineState() != statuspage.EngineDown
}

// isHealthy reports whether the last probes succeeded, and no cause keeps QRs from all sessions.
func (b *backend) isHealthy() bool {
	now := time.Now()
	s := b.snapshot(now, now)
	for _, p := range s.Probes {
		if p.LastOutcome() == session.Failure && !isProbesOwn(p.Failures()[0].Code()) {
			return false
		}
	}
	return statuspage.Judge(s).Level != statuspage.LevelFailing
}

// isProbesOwn reports whether a probe failed for a reason that users do not have.
func isProbesOwn(code diagnosis.Code) bool {
	return code == diagnosis.KeyRefused || code == diagnosis.RedisUnavailable || code == diagnosis.RateLimited
}

// as is a caller at this engine.
func (b *backend) as(c session.Caller) session.Caller {
	c.Tenant, c.Traffic = b.sealer.Tenant(c.Credential()), b.app.origin(c.Key)
	return c
}

func (b *backend) hasName(ctx context.Context, c session.Caller, name string) bool {
	ref := b.acquirer.Resolve(ctx, b.as(c), name)
	return ref.ID > 0 && ref.Name == name
}

func (b *backend) find(ctx context.Context, c session.Caller, id string) (fleet.Presence, error) {
	c = b.as(c)
	ref := b.acquirer.Resolve(ctx, c, id)
	if ref.ID > 0 && ref.Name != "" {
		return fleet.Present, nil
	}
	presence, err := b.ask(ctx, c, ref)
	if presence == fleet.Refused {
		presence = fleet.Absent // every engine of the documented API refuses the key alike
	}
	return presence, err
}

// findNative finds a session as the clients of the engine's own API name it, the engine's own ids included.
func (b *backend) findNative(ctx context.Context, c session.Caller, id string) (fleet.Presence, error) {
	c = b.as(c)
	isWanted, ok := fleet.InList(id)
	if !ok {
		return b.ask(ctx, c, session.Ref{Name: id})
	}
	credential := dialect.Credential{Key: c.Key.Reveal(), Authorization: c.Bearer.Reveal()}
	sessions, err := b.translator.Sessions(ctx, credential)
	if slices.ContainsFunc(sessions, isWanted) {
		return fleet.Present, nil
	}
	return fleet.Absent, err
}

// ask reads a session's state from the engine.
func (b *backend) ask(ctx context.Context, c session.Caller, ref session.Ref) (fleet.Presence, error) {
	report, err := b.documented.engine().Status(ctx, c, ref)
	kind, failure := session.KindOf(err), session.AsEngineError(err)
	if failure == nil {
		failure = &session.EngineError{}
	}
	b.acquirer.OnRateLimits(c, report.Limits, kind == session.KindRateLimited, failure.RetryAfter)
	switch {
	case kind.Authorized():
		return fleet.Present, nil
	case kind == session.KindSessionNotFound:
		return fleet.Absent, nil
	case kind == session.KindKeyRefused:
		return fleet.Refused, nil
	}
	return fleet.Absent, err
}
