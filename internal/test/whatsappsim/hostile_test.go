package whatsappsim_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"qrgate/internal/test/whatsappsim"
	"qrgate/internal/test/whatsappsim/whatsappsimtest"
)

// Whatever comes before the handshake is over ends the connection and nothing else.
func TestServer_HostileClients(t *testing.T) {
	t.Parallel()
	hello := "WA\x06\x03"
	tests := map[string]struct {
		send []string
		ends time.Duration // when the server has had enough
	}{
		"nothing":               {ends: 30 * time.Second},
		"not WA":                {send: []string{"GET / HTTP/1.1\r\n\r\n"}},
		"half an intro":         {send: []string{"W"}, ends: 30 * time.Second},
		"a huge frame":          {send: []string{hello + "\xff\xff\xff"}},
		"huge routing":          {send: []string{"ED\x00\x01\xff\xff\xff"}},
		"no protobuf":           {send: []string{hello + "\x00\x00\x02\xff\xff"}},
		"an empty hello":        {send: []string{hello + "\x00\x00\x00"}},
		"a low order point":     {send: []string{hello + "\x00\x00\x24\x12\x22\x0a\x20" + string(make([]byte, 32))}},
		"a hello and no finish": {send: []string{clientHello}, ends: 30 * time.Second},
		"a hello and nonsense":  {send: []string{clientHello, "\x00\x00\x01x"}},
		"a hello and no key":    {send: []string{clientHello, "\x00\x00\x00"}},
		"a long message":        {send: []string{string(make([]byte, 1<<20))}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := &whatsappsim.Server{}
				pipe := &whatsappsim.Pipe{}
				whatsappsimtest.StartOn(t, srv, pipe)
				ws := dial(t, pipe)
				began := time.Now()
				go func() {
					for _, text := range tt.send {
						_ = ws.Write(t.Context(), websocket.MessageBinary, []byte(text)) // cut short by the server
					}
				}()
				for {
					if _, _, err := ws.Read(t.Context()); err != nil {
						break
					}
				}
				if got := time.Since(began); got != tt.ends {
					t.Errorf("ended after %v, want %v", got, tt.ends)
				}
				synctest.Wait()
				if st := srv.Stats(); st.Handshakes != 0 || st.Open != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// clientHello is an honest one: the intro and the base point as the ephemeral key.
var clientHello = "WA\x06\x03" + "\x00\x00\x24\x12\x22\x0a\x20\x09" + string(make([]byte, 31))

func dial(t *testing.T, pipe *whatsappsim.Pipe) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://sim/ws/chat", &websocket.DialOptions{HTTPClient: pipe.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// What is no websocket upgrade is refused and counted.
func TestServer_NoUpgrade(t *testing.T) {
	t.Parallel()
	srv := &whatsappsim.Server{}
	addr := whatsappsimtest.Start(t, srv)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + addr + "/ws/chat")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUpgradeRequired || srv.Stats().Dials != 1 {
		t.Errorf("status %d, %+v", res.StatusCode, srv.Stats())
	}
}

// A client that says nothing at all does not stay.
func TestServer_SilentTCPClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pipe := &whatsappsim.Pipe{}
		whatsappsimtest.StartOn(t, &whatsappsim.Server{}, pipe)
		c, err := pipe.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the server spoke first")
		}
		if got := time.Since(began); got != 10*time.Second {
			t.Errorf("dropped after %v", got)
		}
	})
}

var _ net.Listener = (*whatsappsim.Pipe)(nil)
