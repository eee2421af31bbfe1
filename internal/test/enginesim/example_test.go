package enginesim_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"qrgate/internal/test/enginesim"
)

// An engine in a test, reached through memory: it returns 500 until the QR exists.
func ExampleEngine() {
	engine := &enginesim.Engine{QRDelay: time.Second}
	defer engine.Close()
	wire := enginesim.NewWire(engine)
	defer wire.Close()
	go func() { _ = wire.Run() }()

	call := func(method, path, body string) {
		req, _ := http.NewRequest(method, wire.URL()+path, strings.NewReader(body))
		req.Header.Set("X-API-Key", "key")
		req.Header.Set("Content-Type", "application/json")
		res, err := wire.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(io.Discard, res.Body)
		fmt.Println(method, path, res.StatusCode)
	}
	call("POST", "/api/sessions", `{"sessionId":"shop-1","sessionName":"Shop"}`)
	call("POST", "/api/sessions/shop-1/connect", "{}")
	call("GET", "/api/sessions/shop-1/qr", "")
	engine.Change(func(e *enginesim.Engine) { e.QRDelay = 0 })
	call("GET", "/api/sessions/shop-1/qr", "")
	fmt.Println("calls of /qr:", engine.CountSince(enginesim.RouteQR, time.Time{}))

	// Output:
	// POST /api/sessions 201
	// POST /api/sessions/shop-1/connect 200
	// GET /api/sessions/shop-1/qr 500
	// GET /api/sessions/shop-1/qr 200
	// calls of /qr: 2
}
