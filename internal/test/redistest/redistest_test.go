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

// client is a connection that speaks in words and lines.
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

// ask sends a command in RESP and returns the first line of the answer.
func (c *client) ask(words ...string) string {
	c.t.Helper()
	c.say(words...)
	return c.hear()
}

func (c *client) say(words ...string) {
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

func (c *client) hear() string {
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
		t.Errorf("answer %q, want %q", got, want)
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	before := dial(t, server.URL())
	want(t, before.ask("INCR", "n"), ":1")

	server.Pause()
	before.say("INCR", "n")
	_ = before.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if line, err := before.lines.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a server on pause answers %q, %v", line, err)
	}
	_ = before.SetReadDeadline(time.Time{})
	server.Resume()
	want(t, before.hear(), ":2")

	server.Stop()
	server.Stop()
	if conn, err := net.Dial("tcp", server.Addr()); err == nil {
		_ = conn.Close()
		t.Error("a stopped server accepts a connection")
	}
	server.Restart()
	want(t, dial(t, server.URL()).ask("INCR", "n"), ":1")
	server.Pause()
	server.Restart()
	want(t, dial(t, server.URL()).ask("INCR", "n"), ":1")
}

func TestDesync(t *testing.T) {
	t.Parallel()
	server := redistest.StartDesync(t)
	one, two := dial(t, server.URL()), dial(t, server.URL())
	want(t, one.ask("SET", "n", "10"), "+OK")
	want(t, two.ask("INCR", "n"), ":11")
	server.Shift()
	want(t, one.ask("INCR", "n"), ":12") // nothing is kept yet
	want(t, two.ask("INCR", "n"), ":12")
	want(t, one.ask("PING"), "+PONG")
	want(t, two.ask("INCR", "n"), ":13")
	want(t, one.ask("GET", "n"), ":14")
	if n := server.Swapped(); n != 3 {
		t.Errorf("%d answers were swapped, want 3", n)
	}
	server.Realign()
	want(t, one.ask("INCR", "n"), ":15")
	want(t, two.ask("INCR", "n"), ":16")
	want(t, one.ask("SUBSCRIBE", "c"), "*3")
	if n := server.Connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestScripted(t *testing.T) {
	t.Parallel()
	c := dial(t, redistest.StartScripted(t, ":7\r\n"))
	want(t, c.ask("AUTH", "x"), "+OK")
	want(t, c.ask("GET", "n"), ":7")
	want(t, c.ask("INCR", "n"), ":7")
}
