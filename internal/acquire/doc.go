// Package acquire obtains the QRs of sessions.
//
//	client ── connect ──▶ OnConnect ─┐
//	client ── qr ───────▶ WaitQR ────┤ messages          one tracker per session: its run loop is the only writer
//	                                 ▼
//	            ┌──── nextAction(session, demand, now) ◀───────┐
//	            │  poll · recover · give up, and when          │
//	            ▼                                              │
//	      tenant: limiter and batcher ──▶ one engine call ──▶ Session.AfterPoll(report)
//	                                                           │
//	                                         publish, emit events, store
//
// A Manager finds the tenant of a credential and the tracker of a session. Readers load the tracker's immutable
// snapshot; a request that waits sleeps until the snapshot changes. A tenant has what the sessions of one
// credential share: the engine's rate limit (rateLimiter), the list call that polls several sessions at once (batcher),
// and the queue. Decisions are pure functions of values: nextAction, rateLimiter, batcher, Session.AfterPoll,
// session.Diagnose. No lock spans a call to the engine or to the store.
package acquire
