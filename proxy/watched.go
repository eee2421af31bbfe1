package proxy

import "io"

// watched is the engine's side of an upgraded connection: every byte counts as a sign of life, in either
// direction. An answer needs no such thing, because each of its bytes is written to the client, which counts.
type watched struct {
	io.ReadWriteCloser
	idle *idle
}

// Read reads what the engine sent.
func (b watched) Read(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(p)
	b.idle.touch()
	return n, err
}

// Write writes what the client sent.
func (b watched) Write(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Write(p)
	b.idle.touch()
	return n, err
}
