package proxy

import "io"

// watched makes every byte from the engine count as a sign of life. The body of an upgraded connection
// is written to as well; it stays so.
func watched(body io.ReadCloser, i *idle) io.ReadCloser {
	if both, ok := body.(io.ReadWriteCloser); ok {
		return watchedBoth{both, i}
	}
	return watchedBody{body, i}
}

type watchedBody struct {
	io.ReadCloser
	idle *idle
}

// Read reads from the engine.
func (b watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.idle.touch()
	return n, err
}

type watchedBoth struct {
	io.ReadWriteCloser
	idle *idle
}

// Read reads from the engine.
func (b watchedBoth) Read(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(p)
	b.idle.touch()
	return n, err
}

// Write writes what the client sent.
func (b watchedBoth) Write(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Write(p)
	b.idle.touch()
	return n, err
}
