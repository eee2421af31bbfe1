package main

import (
	"context"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/test/enginesim"
)

// fault is an injected fault and its expected alerts.
type fault struct {
	says, repaired string // texts for the timeline
	breaks         func(context.Context, *environment) error
	repair         func(context.Context, *environment) error

	told     string         // the receiver of the alert: pager or chat
	within   time.Duration  // in real time
	alerts   []string       // one of which must be sent
	names    diagnosis.Code // the cause
	silences []string       // symptoms that must not reach the receiver while the fault lasts; empty: not checked
}

func faults() map[string]fault {
	const pager = "pager"
	symptoms := []string{"QRGateProbeNotSucceeding", "QRGateErrorBudgetBurn", "QRGateNoQRDelivered"}
	failing := []string{"QRGateProbeNotSucceeding", "QRGateNoQRDelivered", "QRGateErrorBudgetBurn"}
	return map[string]fault{
		"engine-down": {
			says: "the engine is stopped", repaired: "the engine is started again",
			breaks: func(_ context.Context, env *environment) error { return env.engine.down() },
			repair: func(_ context.Context, env *environment) error { return env.engine.up() },
			told:   pager, within: 4 * time.Minute, names: diagnosis.EngineUnreachable,
			alerts: []string{"QRGateEngineDown", "QRGateProbeNotSucceeding"}, silences: symptoms,
		},
		"qr-500": changing("every /qr returns 500, without end", diagnosis.QRNotEmitted, failing, func(e *enginesim.Engine) {
			e.QRDelay = 24 * time.Hour
		}),
		"slow": changing("every response takes 20 s", diagnosis.EngineTimeout, failing, func(e *enginesim.Engine) {
			e.Latency = 20 * time.Second
		}),
		"rate-limit": changing("every response is 429", diagnosis.RateLimited, append(failing, "QRGateEngineThrottling"), func(e *enginesim.Engine) {
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.TooMany}}
		}),
		"redis-down": {
			says: "Redis is killed", repaired: "Redis is started again",
			breaks: func(_ context.Context, env *environment) error { env.redis.stop(); return nil },
			repair: func(ctx context.Context, env *environment) error { return env.startRedis(ctx) },
			told:   pager, within: 4 * time.Minute, names: diagnosis.RedisUnavailable, alerts: []string{"QRGateRedisDown"},
			silences: []string{"QRGateProbeNotSucceeding"},
		},
		"client-outdated": {
			says: "WhatsApp refuses the engine's library", repaired: "the engine is updated",
			breaks: func(_ context.Context, env *environment) error { env.engine.outdated.Store(true); return env.forget() },
			repair: func(_ context.Context, env *environment) error { env.engine.outdated.Store(false); return nil },
			told:   pager, within: 6 * time.Minute, names: diagnosis.ClientOutdated, alerts: []string{"QRGateClientOutdated"},
			silences: symptoms,
		},
	}
}

// changing returns a fault that is a field of the simulated engine.
func changing(says string, names diagnosis.Code, alerts []string, change func(*enginesim.Engine)) fault {
	return fault{
		says: says, repaired: "the engine works again", told: "pager", within: 8 * time.Minute, names: names, alerts: alerts,
		breaks: func(_ context.Context, env *environment) error { env.engine.Change(change); return env.forget() },
		repair: func(_ context.Context, env *environment) error {
			env.engine.Change(func(e *enginesim.Engine) { e.QRDelay, e.Latency, e.Faults = 300*time.Millisecond, 0, nil })
			return nil
		},
	}
}
