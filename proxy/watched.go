package proxy

import "io"

// idleConn is the engine's side of an upgraded connection: every byte counts as a sign of life, in either
// direction. An answer needs no such thing, because each of its bytes is written to the client, which counts.
type idleConn struct {
	io.ReadWriteCloser
	idle *idle
}

// Read reads what the engine sent.
func (b idleConn) Read(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(p)
	b.idle.touch()
	return n, err
}

// Write writes what the client sent.
func (b idleConn) Write(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Write(p)
	b.idle.touch()
	return n, err
}
