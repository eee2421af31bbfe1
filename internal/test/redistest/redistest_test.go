package redistest_test

import (
	"bufio"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/redistest"
)

// client sends commands as words and reads replies as lines.
type client struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func dial(t *testing.T, url string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "redis://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, Conn: conn, lines: bufio.NewReader(conn)}
}

// do sends a command in RESP and returns the first line of the reply.
func (c *client) do(words ...string) string {
	c.t.Helper()
	c.send(words...)
	return c.readLine()
}

func (c *client) send(words ...string) {
	c.t.Helper()
	var command strings.Builder
	command.WriteString("*" + string(rune('0'+len(words))) + "\r\n")
	for _, word := range words {
		command.WriteString("$" + string(rune('0'+len(word))) + "\r\n" + word + "\r\n")
	}
	if _, err := c.Write([]byte(command.String())); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) readLine() string {
	c.t.Helper()
	line, err := c.lines.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("reply %q, want %q", got, want)
	}
}

func TestServer_PauseStopAndRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	before := dial(t, server.URL())
	want(t, before.do("INCR", "n"), ":1")

	server.Pause()
	before.send("INCR", "n")
	_ = before.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if line, err := before.lines.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a paused server replies %q, %v", line, err)
	}
	_ = before.SetReadDeadline(time.Time{})
	server.Resume()
	want(t, before.readLine(), ":2")

	server.Stop()
	server.Stop()
	if conn, err := net.Dial("tcp", server.Addr()); err == nil {
		_ = conn.Close()
		t.Error("a stopped server accepts a connection")
	}
	server.Restart()
	want(t, dial(t, server.URL()).do("INCR", "n"), ":1")
	server.Pause()
	server.Restart()
	want(t, dial(t, server.URL()).do("INCR", "n"), ":1")
}

func TestDesync_ShiftsAndRealignsReplies(t *testing.T) {
	t.Parallel()
	server := redistest.StartDesync(t)
	one, two := dial(t, server.URL()), dial(t, server.URL())
	want(t, one.do("SET", "n", "10"), "+OK")
	want(t, two.do("INCR", "n"), ":11")
	server.Shift()
	want(t, one.do("INCR", "n"), ":12") // no reply is kept yet
	want(t, two.do("INCR", "n"), ":12")
	want(t, one.do("PING"), "+PONG")
	want(t, two.do("INCR", "n"), ":13")
	want(t, one.do("GET", "n"), ":14")
	if n := server.Swapped(); n != 3 {
		t.Errorf("%d replies were swapped, want 3", n)
	}
	server.Realign()
	want(t, one.do("INCR", "n"), ":15")
	want(t, two.do("INCR", "n"), ":16")
	want(t, one.do("SUBSCRIBE", "c"), "*3")
	if n := server.Connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestScripted_RepliesWithTheScript(t *testing.T) {
	t.Parallel()
	c := dial(t, redistest.StartScripted(t, ":7\r\n"))
	want(t, c.do("AUTH", "x"), "+OK")
	want(t, c.do("GET", "n"), ":7")
	want(t, c.do("INCR", "n"), ":7")
}
