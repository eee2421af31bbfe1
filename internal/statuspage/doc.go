// Package statuspage shows operators how the gate is doing: one page that says in its first lines whether
// QR delivery is broken, for whom, since when and why, and the same as JSON. It needs no Prometheus.
//
// [Handler] renders a [Snapshot], a plain value that somebody else fills. A [Recorder] remembers what
// passed by: journeys, changes, what the engine answered. Both are bounded, and neither ever holds a code, a
// key or a phone number: sessions appear by label, [MaxLabels] of them at most, long digits masked.
//
// The page has no third party and no inline script or style, so that it lives under default-src 'self'. It
// works without JavaScript; with it, it renews itself every ten seconds.
//
// The JSON's names are those of the fields of [Snapshot] and the types in it, and stay. Times are RFC 3339
// in UTC and absent while there is none; lengths of time are in seconds; lists are never null.
package statuspage
