package redistest

import (
	"bufio"
	"net"
	"sync"
	"testing"
)

// StartScripted runs, until the test ends, a server that greets and authenticates as Redis does and answers
// every other command with the bytes of answer, whatever they are. It returns the server's URL.
func StartScripted(t testing.TB, answer string) string {
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
			work.Go(func() { serveScript(conn, answer) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	return "redis://" + listener.Addr().String()
}

// serveScript ends when the client hangs up.
func serveScript(conn net.Conn, answer string) {
	defer func() { _ = conn.Close() }()
	for questions := bufio.NewReader(conn); ; {
		command, err := readValue(questions)
		if err != nil {
			return
		}
		reply := answer
		switch name(command) {
		case "hello":
			reply = "%1\r\n+proto\r\n:3\r\n"
		case "auth", "select", "client":
			reply = "+OK\r\n"
		}
		if _, err := conn.Write([]byte(reply)); err != nil {
			return
		}
	}
}
