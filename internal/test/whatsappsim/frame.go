package whatsappsim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/coder/websocket"
)

// maxFrame bounds what a client may send in one frame, in bytes. The largest honest one, 812 prekeys, has
// about 45 kB.
const maxFrame = 256 << 10

var (
	errFrameSize = errors.New("wasim: frame too large")
	errIntro     = errors.New("wasim: the connection does not begin with WA")
)

// stream reads the client's websocket messages as one stream of bytes: frames may be cut anywhere.
type stream struct {
	ctx context.Context
	ws  *websocket.Conn
	msg io.Reader
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.msg == nil {
			_, msg, err := s.ws.Reader(s.ctx)
			if err != nil {
				return 0, err
			}
			s.msg = msg
		}
		n, err := s.msg.Read(p)
		if errors.Is(err, io.EOF) {
			s.msg, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// readFrame reads one frame: three bytes of length, big endian, and that many bytes.
func readFrame(r io.Reader) ([]byte, error) {
	size, err := readLength(r)
	if err != nil {
		return nil, err
	}
	if size > maxFrame {
		return nil, fmt.Errorf("%w: %d bytes", errFrameSize, size)
	}
	b := make([]byte, size)
	_, err = io.ReadFull(r, b)
	return b, err
}

func readLength(r io.Reader) (int, error) {
	var l [4]byte
	if _, err := io.ReadFull(r, l[1:]); err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint32(l[:])), nil
}

// frame puts the length before body. The caller sends the result in one websocket message, because
// whatsmeow corrupts a frame that is split over two (socket/framesocket.go, processData).
func frame(body []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	return append(b[1:], body...)
}

// readIntro reads "WA" and two version bytes, before which a client with edge routing information sends
// "ED", two bytes and that information as a frame. Only the former is part of the handshake hash.
func readIntro(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if string(head[:2]) == "ED" {
		if _, err := readFrame(r); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
	}
	if string(head[:2]) != "WA" {
		return nil, errIntro
	}
	return head, nil
}
