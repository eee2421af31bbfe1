package main

import (
	"strings"
	"testing"
)

func TestReadWrk(t *testing.T) {
	t.Parallel()
	const out = `Running 1s test @ http://127.0.0.1:9702/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   225.25us  341.45us   6.22ms   94.77%
  Latency Distribution
     50%  151.00us
     75%  202.00us
     90%  324.00us
     99%    1.92ms
  46512 requests in 1.10s, 280.51MB read
Requests/sec:  42284.06
`
	got, err := readWrk([]byte(out))
	if want := (outcomeOfTurn{rate: 42284.06, p50: 0.151, p99: 1.92, requests: 46512}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := readWrk([]byte(strings.Replace(out, "Requests/sec", "  Non-2xx or 3xx responses: 7\nRequests/sec", 1))); err == nil {
		t.Error("responses other than 200 are no error")
	}
}
