package proxy_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"qrgate/proxy"
)

// BenchmarkPassThrough measures the front beside a bare httputil.ReverseProxy, turn by turn in one run, so that
// the ratio holds on a busy machine. The engine sends 200 bytes of JSON.
func BenchmarkPassThrough(b *testing.B) {
	body := make([]byte, 200)
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	b.Cleanup(engine.Close)
	u, err := url.Parse(engine.URL)
	if err != nil {
		b.Fatal(err)
	}
	transport := proxy.Transport()
	b.Cleanup(transport.CloseIdleConnections)
	bare := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u); r.SetXForwarded() }}
	front := proxy.New(proxy.Config{Engine: u, Transport: transport})

	ask := map[string]func(){"bare": asker(b, bare), "front": asker(b, front)}
	took := map[string]time.Duration{}
	turn := func(name string) {
		began := time.Now()
		ask[name]()
		took[name] += time.Since(began)
	}
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			turn("bare")
			turn("front")
		} else {
			turn("front")
			turn("bare")
		}
	}
	b.ReportMetric(float64(took["front"])/float64(b.N), "front-ns")
	b.ReportMetric(float64(took["bare"])/float64(b.N), "bare-ns")
	b.ReportMetric(float64(took["front"])/float64(took["bare"]), "front/bare")
}

// asker serves h and returns a function that asks it once, over one connection that is kept alive.
func asker(b *testing.B, h http.Handler) func() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := proxy.Server("", h)
	go func() { _ = server.Serve(proxy.DetectSmuggling(listener)) }()
	client := &http.Transport{}
	b.Cleanup(func() { client.CloseIdleConnections(); _ = server.Close() })
	url := "http://" + listener.Addr().String() + "/api/messages/shop-1/chats?page=1"
	return func() {
		res, err := client.RoundTrip(mustGet(b, url))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}
