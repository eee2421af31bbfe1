package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// echo is an engine that accepts a websocket on any path and sends every message back.
func echo(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	for {
		kind, text, err := ws.Read(r.Context())
		if err != nil || ws.Write(r.Context(), kind, text) != nil {
			return
		}
	}
}

func openWebsocket(t *testing.T, g *rig) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client := &http.Client{Transport: g.transport()}
	ws, _, err := websocket.Dial(ctx, strings.Replace(g.url, "http", "ws", 1)+"/socket?EIO=4", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

func TestPassThrough_Websocket(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(echo))
	ws := openWebsocket(t, g)
	for _, text := range []string{"hello", strings.Repeat("x", 300_000)} {
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(t.Context()); err != nil || string(got) != text {
			t.Fatalf("%d bytes came back as %d, %v", len(text), len(got), err)
		}
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	if e := g.exchange(t); e.Status != 101 || e.Code != "" || e.Truncated {
		t.Errorf("logged as %+v", e)
	}
}

func TestPassThrough_IdleWebsocketIsClosed(t *testing.T) {
	const bound = time.Minute
	inFakeTime(t, http.HandlerFunc(echo), func(t *testing.T, g *rig) {
		ws := openWebsocket(t, g)
		for range 6 { // twice the bound, in all
			time.Sleep(bound / 3)
			if err := ws.Write(t.Context(), websocket.MessageText, []byte("tick")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ws.Read(t.Context()); err != nil {
				t.Fatalf("a busy websocket was ended: %v", err)
			}
		}
		last := time.Now()
		if _, _, err := ws.Read(t.Context()); err == nil || time.Since(last) > bound {
			t.Errorf("an idle websocket was not ended after %v: %v", time.Since(last), err)
		}
		g.exchange(t)
	}, idling(bound))
}

// switching is an engine that upgrades a connection and calls then.
func switching(then func(net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		then(conn)
	}
}

const upgrade = "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

func TestPassThrough_OneWayWebsocketStaysOpen(t *testing.T) {
	const bound = time.Minute
	tick := func(w io.Writer) {
		for range 6 {
			time.Sleep(bound / 3)
			_, _ = io.WriteString(w, ".")
		}
	}
	t.Run("from the engine", func(t *testing.T) {
		inFakeTime(t, switching(func(conn net.Conn) { tick(conn) }), func(t *testing.T, g *rig) {
			conn := g.dial(t)
			_ = conn.SetDeadline(time.Time{})
			_, _ = io.WriteString(conn, upgrade)
			if got, err := readUntil(conn, "......"); err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}, idling(bound))
	})
	t.Run("from the client", func(t *testing.T) {
		received := make(chan string, 1)
		inFakeTime(t, switching(func(conn net.Conn) {
			got, _ := readUntil(conn, "......")
			received <- got
		}), func(t *testing.T, g *rig) {
			conn := g.dial(t)
			_ = conn.SetDeadline(time.Time{})
			_, _ = io.WriteString(conn, upgrade)
			_, _ = readUntil(conn, "\r\n\r\n")
			tick(conn)
			if got := <-received; got != "......" {
				t.Errorf("the engine received %q", got)
			}
		}, idling(bound))
	})
}

func TestPassThrough_WebsocketClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	g := start(t, switching(func(conn net.Conn) {
		for block := make([]byte, 1<<20); ; {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	}), idling(200*time.Millisecond))
	_, _ = io.WriteString(g.dial(t), upgrade)
	g.exchange(t)
}

func TestPassThrough_PartialBodyIsFlushed(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-read
		_, _ = io.WriteString(w, "after")
	}))
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if got, err := readUntil(conn, "first"); err != nil {
		t.Errorf("before the engine went on: %q, %v", got, err)
	}
	close(read)
	if got, err := readUntil(conn, "after"); err != nil {
		t.Errorf("after it: %q, %v", got, err)
	}
}

func TestPassThrough_HeaderIsFlushed(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "4")
		_ = http.NewResponseController(w).Flush()
		<-read
		_, _ = io.WriteString(w, "late")
	}))
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if got, err := readUntil(conn, "\r\n\r\n"); err != nil {
		t.Errorf("before the engine went on: %q, %v", got, err)
	}
	close(read)
	if got, err := readUntil(conn, "late"); err != nil {
		t.Errorf("after it: %q, %v", got, err)
	}
}

func TestPassThrough_EventStream(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}))
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewScanner(res.Body)
	for i := range 3 {
		// The engine writes the next event only when this one was read here.
		if !events.Scan() || events.Text() != fmt.Sprintf("data: %d", i) {
			t.Fatalf("event %d is %q, %v", i, events.Text(), events.Err())
		}
		events.Scan()
		next <- struct{}{}
	}
}

func TestPassThrough_NoTotalTimeout(t *testing.T) {
	const bound = time.Minute
	engine := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range 5 {
			time.Sleep(bound / 3)
			_, _ = io.WriteString(w, ".")
			_ = http.NewResponseController(w).Flush()
		}
	})
	inFakeTime(t, engine, func(t *testing.T, g *rig) {
		body, write := io.Pipe()
		go func() {
			for range 5 {
				time.Sleep(bound / 3)
				_, _ = io.WriteString(write, "x")
			}
			_ = write.Close()
		}()
		if res := g.send(t, "POST", "/x", body); res.StatusCode != 200 || res.body != "....." {
			t.Errorf("a slow exchange returned %d %q", res.StatusCode, res.body)
		}
		if res := g.send(t, "POST", "/x", strings.NewReader("sized")); res.StatusCode != 200 || res.body != "....." {
			t.Errorf("a slow response to a quick body is %d %q", res.StatusCode, res.body)
		}
	}, idling(bound))
}

func TestPassThrough_EngineStopsInMidResponse(t *testing.T) {
	t.Parallel()
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}), idling(150*time.Millisecond))
	conn := g.dial(t)
	_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	all, _ := io.ReadAll(conn)
	if strings.HasSuffix(string(all), "0\r\n\r\n") {
		t.Errorf("a truncated response looks complete: %q", all)
	}
	if e := g.exchange(t); !e.Truncated || e.Status != 200 {
		t.Errorf("logged as %+v", e)
	}
}

func TestPassThrough_ClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for block := make([]byte, 1<<20); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}), idling(200*time.Millisecond))
	_, _ = io.WriteString(g.dial(t), "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the engine still writes to a client that does not read")
	}
	if e := g.exchange(t); !e.ClientGone || e.Truncated || e.Status != 200 {
		t.Errorf("logged as %+v", e)
	}
}
