package main

import (
	"context"
	"time"

	"qrgate/internal/diagnosis"
	"qrgate/internal/test/enginesim"
)

// fault is one way of breaking, and what must come of it.
type fault struct {
	says, mended string // what happens, for the timeline
	breaks       func(context.Context, *stage) error
	repair       func(context.Context, *stage) error

	told     string         // the receiver that must hear of it: pager or chat
	within   time.Duration  // in earnest
	alerts   []string       // any of which must be told
	names    diagnosis.Code // the cause
	silences []string       // symptoms that must not reach the receiver as long as it lasts; empty: not looked at
}

func breakages() map[string]fault {
	const pager = "pager"
	symptoms := []string{"QRGateProbeNotSucceeding", "QRGateErrorBudgetBurn", "QRGateNoQRDelivered"}
	failing := []string{"QRGateProbeNotSucceeding", "QRGateNoQRDelivered", "QRGateErrorBudgetBurn"}
	return map[string]fault{
		"engine-down": {
			says: "the engine is stopped", mended: "the engine is started again",
			breaks: func(_ context.Context, st *stage) error { return st.engine.down() },
			repair: func(_ context.Context, st *stage) error { return st.engine.up() },
			told:   pager, within: 4 * time.Minute, names: diagnosis.EngineUnreachable,
			alerts: []string{"QRGateEngineDown", "QRGateProbeNotSucceeding"}, silences: symptoms,
		},
		"qr-500": changing("every /qr is answered 500, for ever", diagnosis.QRNotEmitted, failing, func(e *enginesim.Engine) {
			e.QRDelay = 24 * time.Hour
		}),
		"slow": changing("every answer takes 20 s", diagnosis.EngineTimeout, failing, func(e *enginesim.Engine) {
			e.Latency = 20 * time.Second
		}),
		"rate-limit": changing("every answer is 429", diagnosis.RateLimited, append(failing, "QRGateEngineThrottling"), func(e *enginesim.Engine) {
			e.Faults = map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.TooMany}}
		}),
		"redis-down": {
			says: "Redis is killed", mended: "Redis is started again",
			breaks: func(_ context.Context, st *stage) error { st.redis.stop(); return nil },
			repair: func(ctx context.Context, st *stage) error { return st.startRedis(ctx) },
			told:   pager, within: 4 * time.Minute, names: diagnosis.RedisUnavailable, alerts: []string{"QRGateRedisDown"},
			silences: []string{"QRGateProbeNotSucceeding"},
		},
		"client-outdated": {
			says: "WhatsApp refuses the engine's library", mended: "the engine is updated",
			breaks: func(_ context.Context, st *stage) error { st.engine.outdated.Store(true); return st.forget() },
			repair: func(_ context.Context, st *stage) error { st.engine.outdated.Store(false); return nil },
			told:   pager, within: 6 * time.Minute, names: diagnosis.ClientOutdated, alerts: []string{"QRGateClientOutdated"},
			silences: symptoms,
		},
	}
}

// changing is a breakage that a field of the simulated engine makes.
func changing(says string, names diagnosis.Code, alerts []string, change func(*enginesim.Engine)) fault {
	return fault{
		says: says, mended: "the engine behaves again", told: "pager", within: 8 * time.Minute, names: names, alerts: alerts,
		breaks: func(_ context.Context, st *stage) error { st.engine.Change(change); return st.forget() },
		repair: func(_ context.Context, st *stage) error {
			st.engine.Change(func(e *enginesim.Engine) { e.QRDelay, e.Latency, e.Faults = 300*time.Millisecond, 0, nil })
			return nil
		},
	}
}
