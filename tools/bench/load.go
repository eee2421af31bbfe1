package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// load is a closed loop: each connection sends its next request when the answer to the last has come. It
// reads no more of an answer than it must, so that it is not itself what is measured.
type load struct {
	to       string   // URL
	requests [][]byte // as they are sent; the connections go through them in turn
	conns    int
	lasts    time.Duration
}

// tally is what became of a load.
type tally struct {
	took  []time.Duration // of every answer that was 200
	wrong int             // other answers
	last  int             // the status of one of those
	over  time.Duration
}

// rate is answers per second.
func (t tally) rate() float64 { return float64(len(t.took)) / t.over.Seconds() }

// run sends the load. The error is that of a connection, or says that answers were not 200.
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
		failed = errors.Join(failed, fmt.Errorf("%d of %d answers were not 200 but, for one, %d", all.wrong, all.wrong+len(all.took), all.last))
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

// get is a GET as it is sent.
func get(path, key string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench.test\r\nX-API-Key: %s\r\nUser-Agent: qrgate-bench\r\nAccept: application/json\r\n\r\n", path, key)
}
