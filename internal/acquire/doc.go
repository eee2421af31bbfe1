// Package pairing is the heart of the gate: it takes a session from nothing to a QR.
//
//	client ── connect ──▶ Began ─┐
//	client ── qr ───────▶ QR ────┤ joins            one desk per credential
//	                             ▼
//	            ┌──────── next(session, now) ◀──────────┐
//	            │  look · push · rest, and when         │
//	            ▼                                       │
//	      budget: may we?  ──▶ one engine call ──▶ Session.With(answer)
//	                                                    │
//	                                   seal, store, wake all who wait
//
// All decisions are pure functions of values: next (what to do and when), budget (whether the engine
// still allows it), Session.With (what we now believe), Diagnose (why). The desk does the I/O around them.
package acquire
