package embedded_test

import (
	"fmt"
	"testing"
	"time"

	"qrgate/compat/embedded"
	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// BenchmarkConnectToQR measures the time from a connect to the response with a code, one session at a time.
func BenchmarkConnectToQR(b *testing.B) {
	srv := &whatsappsim.Server{}
	r := start(b, embedded.Config{HTTPClient: srv.HTTPClient(whatsappsimtest.Start(b, srv)), Limits: embedded.Limits{Sessions: 1 << 20}})
	n := 0
	for b.Loop() {
		b.StopTimer()
		id := fmt.Sprintf("session-%d", n)
		r.make(id)
		n++
		b.StartTimer()
		r.call("POST", "/api/sessions/"+id+"/connect")
		for r.call("GET", "/api/sessions/"+id+"/qr").status != 200 {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		r.call("POST", "/api/sessions/"+id+"/disconnect")
		b.StartTimer()
	}
}
