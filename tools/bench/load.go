package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// load is a closed loop: each connection sends its next request after the response to the last. It reads only as much of
// a response as it must, so that its own cost stays low.
type load struct {
	to       string   // URL
	requests [][]byte // in wire format; the connections send them in turn
	conns    int
	lasts    time.Duration
}

// tally is the result of a load.
type tally struct {
	took  []time.Duration // of every response with 200
	wrong int             // other responses
	last  int             // the status of one of them
	over  time.Duration
}

// rate returns responses per second.
func (t tally) rate() float64 { return float64(len(t.took)) / t.over.Seconds() }

// run sends the load. The error is that of a connection, or of responses other than 200.
func (l load) run(ctx context.Context) (tally, error) {
	u, err := url.Parse(l.to)
	if err != nil {
		return tally{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all tally
	var mu sync.Mutex
	var group sync.WaitGroup
	var failed error
	began := time.Now()
	for i := range l.conns {
		group.Go(func() {
			t, err := l.one(ctx, u.Host, i)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			all.took, all.wrong, all.last = append(all.took, t.took...), all.wrong+t.wrong, max(all.last, t.last)
		})
	}
	group.Wait()
	all.over = time.Since(began)
	if all.wrong > 0 {
		failed = errors.Join(failed, fmt.Errorf("%d of %d responses were not 200 but, for example, %d", all.wrong, all.wrong+len(all.took), all.last))
	}
	return all, failed
}

// one is one connection.
func (l load) one(ctx context.Context, host string, first int) (tally, error) {
	var t tally
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return t, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	r := bufio.NewReader(conn)
	t.took = make([]time.Duration, 0, 1<<14)
	began := time.Now()
	until := began.Add(l.lasts)
	for i := first; began.Before(until); i++ {
		if _, err := conn.Write(l.requests[i%len(l.requests)]); err != nil {
			return t, err
		}
		status, err := readAnswer(r)
		if err != nil {
			return t, err
		}
		now := time.Now()
		if status == 200 {
			t.took = append(t.took, now.Sub(began))
		} else {
			t.wrong, t.last = t.wrong+1, status
		}
		began = now
	}
	return t, nil
}

// get returns a GET request in wire format.
func get(path, key string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench.test\r\nX-API-Key: %s\r\nUser-Agent: qrgate-bench\r\nAccept: application/json\r\n\r\n", path, key)
}

var errAnswer = errors.New("not an HTTP response")

// readAnswer reads one response to a GET, discards its body and returns its status.
func readAnswer(r *bufio.Reader) (int, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, errAnswer
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, errAnswer
	}
	length, chunked, err := readHead(r)
	switch {
	case err != nil:
		return 0, err
	case chunked:
		return status, dropChunks(r)
	case length < 0 && status != 204 && status != 304:
		return 0, errAnswer // a body that ends with the connection; no measured server sends one
	}
	_, err = r.Discard(max(length, 0))
	return status, err
}

// readHead reads the header fields and returns the length of the body, or -1.
func readHead(r *bufio.Reader) (length int, chunked bool, err error) {
	length = -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, false, errAnswer
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

// dropChunks reads a chunked body to its end.
func dropChunks(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
		if err != nil {
			return errAnswer
		}
		if size == 0 {
			_, _, err := readHead(r) // a trailer has the format of a header
			return err
		}
		if _, err := r.Discard(int(size) + len("\r\n")); err != nil {
			return err
		}
	}
}
