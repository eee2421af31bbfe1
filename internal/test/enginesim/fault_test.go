package enginesim_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/enginesim"
)

func TestFault_Responses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kind   enginesim.FaultKind
		status int    // 0: no response at all
		begins string // the body
		broken bool   // reading it to its end fails
	}{
		"HTML502":       {enginesim.HTML502, 502, "<html>", false},
		"HTML503":       {enginesim.HTML503, 503, "<html>", false},
		"HTML504":       {enginesim.HTML504, 504, "<html>", false},
		"ServerError":   {enginesim.ServerError, 500, `{"success":false,"error":"Error interno`, false},
		"TooMany":       {enginesim.TooMany, 429, `{"success":false,"error":"Demasiadas solicitudes"`, false},
		"Garbage":       {enginesim.Garbage, 200, `{"success":true,"data":{"qrCode":` + "\x00", false},
		"EmptyBody":     {enginesim.EmptyBody, 200, "", false},
		"EndlessBody":   {enginesim.EndlessBody, 200, `{"success":true,"data":{"qrCode":"AAAA`, false},
		"HugeQR":        {enginesim.HugeQR, 200, `{"success":true,"data":{"qrCode":"data:`, false},
		"Redirect":      {enginesim.Redirect, 302, "Found", false},
		"TruncatedBody": {enginesim.TruncatedBody, 200, `{"success":true`, true},
		"CutConnection": {enginesim.CutConnection, 0, "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteQR: {Kind: test.kind}}}
			bubble(t, engine, func(c *testClient) {
				c.started()
				got := c.qr("1")
				if got.status != test.status || !strings.HasPrefix(got.text, test.begins) || (got.err != nil) != test.broken {
					t.Errorf("got %d %.60q, error %v", got.status, got.text, got.err)
				}
				c.want(c.status("1"), 200) // other routes are healthy
				c.engine.Change(func(e *enginesim.Engine) { e.Faults = nil })
				c.want(c.qr("1"), 200)
			})
		})
	}
}

func TestFault_HugeQR(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteQR: {Kind: enginesim.HugeQR}}}
	bubble(t, engine, func(c *testClient) {
		c.started()
		if n := len(c.qr("1").text); n < 1<<20 || n > 2<<20 {
			t.Errorf("the response has %d bytes", n)
		}
	})
}

func TestFault_GzipBombUnpacksTo200MiB(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.AnyRoute: {Kind: enginesim.GzipBomb}}}
	bubble(t, engine, func(c *testClient) {
		packed := c.do("GET", "/health", "", "Accept-Encoding", "identity")
		if n := len(packed.text); n > 300_000 || packed.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%d bytes on the wire", n)
		}
		response, err := c.client.Get(c.url + "/health") // the transport unpacks what it asked for
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if n < 200<<20 || err != nil {
			t.Errorf("%d bytes unpacked, error %v", n, err)
		}
	})
}

func TestFault_HangEndsWithClient(t *testing.T) {
	t.Parallel()
	engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteHealth: {Kind: enginesim.Hang}}}
	bubble(t, engine, func(c *testClient) {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Hour)
		defer cancel()
		request, _ := http.NewRequestWithContext(ctx, "GET", c.url+"/health", nil)
		begin := time.Now()
		if _, err := c.client.Do(request); err == nil || time.Since(begin) != time.Hour {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
	})
}

func TestFault_SlowBodyIsComplete(t *testing.T) {
	t.Parallel()
	slow := enginesim.Fault{Kind: enginesim.SlowBody, ByteInterval: 2 * time.Second}
	engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteConnect: slow}}
	bubble(t, engine, func(c *testClient) {
		c.want(c.create("one"), 201)
		begin := time.Now()
		got := c.want(c.connect("1"), 200)
		if want := time.Duration(len(got.text)-1) * slow.ByteInterval; time.Since(begin) != want || !got.body.Success {
			t.Errorf("%d bytes in %v", len(got.text), time.Since(begin))
		}
	})
}

func TestFault_ActsRunsHandler(t *testing.T) {
	t.Parallel()
	for _, acts := range []bool{false, true} {
		fault := enginesim.Fault{Kind: enginesim.HTML504, First: 1, Acts: acts}
		engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteCreate: fault}}
		bubble(t, engine, func(c *testClient) {
			c.want(c.create("one"), 504)
			if got := len(c.engine.Snapshot()); (got == 1) != acts {
				t.Errorf("acts %v, but there are %d sessions", acts, got)
			}
			c.want(c.create("two"), 201) // only the first create was to fail
		})
	}
}

func TestFault_TruncatedDownload(t *testing.T) {
	t.Parallel()
	fault := enginesim.Fault{Kind: enginesim.TruncatedBody, First: 1}
	engine := &enginesim.Engine{Faults: map[enginesim.Route]enginesim.Fault{enginesim.RouteDownload: fault}}
	bubble(t, engine, func(c *testClient) {
		got := c.do("GET", "/api/media/9/download?bytes=100000", "")
		if len(got.text) != 50_000 || got.err == nil {
			t.Errorf("%d bytes, error %v", len(got.text), got.err)
		}
		if got := c.want(c.do("GET", "/api/media/9/download?bytes=100000", ""), 200); len(got.text) != 100_000 {
			t.Errorf("%d bytes without the fault", len(got.text))
		}
	})
}
