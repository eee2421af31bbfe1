// Package qrgate holds the words that every room of the gateway speaks: session, state, QR, caller,
// observation, fault, diagnosis, event. It uses the standard library alone and does no I/O, reads no
// clock and starts no goroutine; whatever needs those lives in a room of its own.
//
// docs/ARCHITECTURE.md shows the rooms and the way of one request through them.
package session
