// Package session is the domain model that all packages share: Session, QR, Ref, State, Engine, EngineError, Event and
// Snapshot, the pure functions that take a session to its next value, and the rules that diagnose why it has no QR.
//
// It does no I/O, reads no clock and starts no goroutine. docs/ARCHITECTURE.md shows the packages and the path of one
// request through them.
package session
