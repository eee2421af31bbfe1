package faultnet_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"qrgate/tools/faultnet"
)

// echo returns the address of a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().String()
}

// exchange sends text over a new connection and reads as much within a second.
func exchange(addr, text string) (got string, took time.Duration, err error) {
	start := time.Now()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(start.Add(time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		return "", 0, err
	}
	buf := make([]byte, len(text))
	n, err := io.ReadFull(conn, buf)
	return string(buf[:n]), time.Since(start), err
}

func TestLink_EachFaultHasItsEffect(t *testing.T) {
	l, err := faultnet.New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Down()
	text := strings.Repeat("x", 4096)
	for _, c := range []struct {
		name    string
		faults  []faultnet.Fault
		bytes   int
		err     error
		atLeast time.Duration // the exchange takes at least this
	}{
		{"none", nil, 4096, nil, 0},
		{"delay", []faultnet.Fault{faultnet.Delay(faultnet.Responses, 200*time.Millisecond)}, 4096, nil, 200 * time.Millisecond},
		{"requests lost", []faultnet.Fault{faultnet.Loss(faultnet.Requests)}, 0, os.ErrDeadlineExceeded, 0},
		{"responses lost", []faultnet.Fault{faultnet.Loss(faultnet.Responses)}, 0, os.ErrDeadlineExceeded, 0},
		{"reset", []faultnet.Fault{faultnet.Reset(faultnet.Responses)}, 0, syscall.ECONNRESET, 0},
		{"cut", []faultnet.Fault{faultnet.Cut(faultnet.Responses, 100)}, 100, io.ErrUnexpectedEOF, 0},
		{"bandwidth", []faultnet.Fault{faultnet.Bandwidth(faultnet.Responses, 10)}, 4096, nil, 300 * time.Millisecond},
		{"none again", nil, 4096, nil, 0},
	} {
		if err := l.Set(c.faults...); err != nil {
			t.Fatal(err)
		}
		got, took, err := exchange(l.Addr(), text)
		if len(got) != c.bytes || !errors.Is(err, c.err) || took < c.atLeast {
			t.Errorf("%s: %d bytes in %v, %v; want %d, %v", c.name, len(got), took, err, c.bytes, c.err)
		}
	}
}

func TestLink_DownRefusesAndUpKeepsItsAddress(t *testing.T) {
	l, err := faultnet.New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Down()
	addr := l.Addr()
	open, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Down()
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("a connection stays open while the link is down")
	}
	if _, _, err := exchange(addr, "x"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("down: %v, want a refused connection", err)
	}
	if err := l.Up(); err != nil {
		t.Fatal(err)
	}
	if got, _, err := exchange(addr, "x"); got != "x" {
		t.Errorf("up again: %q, %v", got, err)
	}
}
