package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"

	"qrgate/proxy"
)

// Whatever the size of a body is relative to net/http's buffer, all of it arrives, and in one write.
func TestServer_DelayedWriteArrives(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingListener{Listener: l}
	server := proxy.Server("", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header().Set("Content-Length", strconv.Itoa(n))
		proxy.DelayNextWrite(r)
		_, _ = w.Write(bytes.Repeat([]byte("x"), n))
	}))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(proxy.DetectSmuggling(counted)) }()
	defer func() { _ = server.Close(); <-ended }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	// The header has some 130 bytes, so one of the sizes fills the buffer of 4 KiB to its last byte.
	for size := 3900; size < 4100; size++ {
		wantBytes(t, client, fmt.Sprintf("http://%s/?n=%d", l.Addr(), size), size, size%20 == 0)
	}
	for _, size := range []int{0, 1, 6000, 8200, 100_000} {
		counted.writes = 0
		wantBytes(t, client, fmt.Sprintf("http://%s/?n=%d", l.Addr(), size), size, true)
		if counted.writes != 1 {
			t.Errorf("a body of %d bytes took %d writes", size, counted.writes)
		}
	}
}

func wantBytes(t *testing.T, client *http.Client, url string, size int, closes bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = closes
	res, err := client.Do(r)
	if err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || len(body) != size {
		t.Errorf("%d of %d bytes arrived: %v", len(body), size, err)
	}
}

// countingListener counts the writes of its connections, which a test makes one after the other.
type countingListener struct {
	net.Listener
	writes int
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &countingConn{conn, l}, err
}

type countingConn struct {
	net.Conn
	listener *countingListener
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.listener.writes++
	return c.Conn.Write(p)
}
