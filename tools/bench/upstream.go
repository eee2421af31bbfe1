package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// upstream answers every request at once with the same 200 bytes of JSON, as cheaply as it can: requests
// have no body, and it reads no further than their blank line.
type upstream struct {
	listener net.Listener
	all      sync.WaitGroup
	cancel   context.CancelFunc
}

func startUpstream(ctx context.Context) (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	u := &upstream{listener: l, cancel: cancel}
	u.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			u.all.Go(func() { answerAll(ctx, conn) })
		}
	})
	return u, nil
}

func (u *upstream) url() string { return "http://" + u.listener.Addr().String() }

func (u *upstream) close() {
	u.cancel()
	_ = u.listener.Close()
	u.all.Wait()
}

// answerAll serves one connection until somebody ends it.
func answerAll(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	body := `{"success":true,"data":"` + strings.Repeat("x", 174) + `"}`
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > len("\r\n") {
			continue
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// collector takes spans and drops them; it counts the batches. A real one runs on another machine, so
// it does no more work here than to unpack them.
type collector struct {
	server   *http.Server
	listener net.Listener
	batches  atomic.Int64
	bytes    atomic.Int64
	ended    chan struct{}
}

func startCollector() (*collector, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{listener: l, ended: make(chan struct{})}
	c.server = &http.Server{Handler: http.HandlerFunc(c.take), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(c.ended)
		_ = c.server.Serve(l)
	}()
	return c, nil
}

func (c *collector) url() string { return "http://" + c.listener.Addr().String() }

func (c *collector) close() {
	_ = c.server.Close()
	<-c.ended
}

func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	n, _ := io.Copy(io.Discard, body)
	c.batches.Add(1)
	c.bytes.Add(n)
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.WriteHeader(http.StatusOK) // an empty message: everything was taken
}
