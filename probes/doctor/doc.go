// Package doctor examines an engine and the way to WhatsApp by hand, the cheapest and most telling check
// first (engines B.2), and ends with one diagnosis.
//
//	engine    does it answer at all?
//	key       does it take the key?
//	others    how do the caller's other sessions fare?
//	create → connect → qr → cleanup     on a session of its own, which is always deleted
//	dns → tcp → tls → upgrade → handshake     the gate's own look at WhatsApp
//
// A check that fails skips those that could tell nothing more. What the checks found is weighed by
// [qrgate.Diagnose], as the gate itself does it. No session is touched that was not made here, and nothing
// is paired.
package doctor
