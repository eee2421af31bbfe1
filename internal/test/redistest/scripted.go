package redistest

import (
	"bufio"
	"net"
	"sync"
	"testing"
)

// StartScripted runs, until the test ends, a server that sends the same bytes in reply to every command except those of
// connection set-up. It returns the server's URL.
func StartScripted(t testing.TB, reply string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { serveScript(conn, reply) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	return "redis://" + listener.Addr().String()
}

// serveScript returns when the client closes the connection.
func serveScript(conn net.Conn, reply string) {
	defer func() { _ = conn.Close() }()
	for commands := bufio.NewReader(conn); ; {
		command, err := readValue(commands)
		if err != nil {
			return
		}
		out := reply
		switch name(command) {
		case "hello":
			out = "%1\r\n+proto\r\n:3\r\n"
		case "auth", "select", "client":
			out = "+OK\r\n"
		}
		if _, err := conn.Write([]byte(out)); err != nil {
			return
		}
	}
}
