package enginesim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qrgate/internal/test/enginesim"
)

// testClient is a client of an engine, in a bubble of its own time.
type testClient struct {
	t      *testing.T
	engine *enginesim.Engine
	client *http.Client
	url    string
	key    string
}

// bubble runs a test body against an engine on a wire, in fake time.
func bubble(t *testing.T, engine *enginesim.Engine, body func(*testClient)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wire := enginesim.NewWire(engine)
		served := make(chan error)
		go func() { served <- wire.Run() }()
		body(&testClient{t, engine, wire.Client(), wire.URL(), "key-a"})
		engine.Close()
		wire.Close()
		if err := <-served; err != nil {
			t.Errorf("the wire ended with %v", err)
		}
	})
}

// reply is a response read to its end.
type reply struct {
	status int
	header http.Header
	text   string
	body   struct {
		Success bool
		Error   string
		Code    string
		Data    map[string]any
	}
	err error // of the call or of reading the body
}

func (c *testClient) do(method, path, body string, headers ...string) reply {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		request.Header.Set("X-API-Key", c.key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.client.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	got := reply{status: response.StatusCode, header: response.Header, text: string(text), err: err}
	_ = json.Unmarshal(text, &got.body) // a test that wants JSON looks at what came of it
	return got
}

func (c *testClient) create(name string) reply {
	c.t.Helper()
	return c.do("POST", "/api/sessions", `{"sessionId":"`+name+`","sessionName":"A name"}`)
}

func (c *testClient) connect(id string) reply {
	return c.do("POST", "/api/sessions/"+id+"/connect", "{}")
}
func (c *testClient) qr(id string) reply     { return c.do("GET", "/api/sessions/"+id+"/qr", "") }
func (c *testClient) status(id string) reply { return c.do("GET", "/api/sessions/"+id+"/status", "") }

// started creates session one, id 1, and connects it.
func (c *testClient) started() {
	c.t.Helper()
	c.want(c.create("one"), 201)
	c.want(c.connect("1"), 200)
}

func (c *testClient) want(got reply, status int) reply {
	c.t.Helper()
	if got.err != nil || got.status != status {
		c.t.Fatalf("got %d %s (%v), want %d", got.status, got.text, got.err, status)
	}
	return got
}

func (c *testClient) state(id string) any { return c.want(c.status(id), 200).body.Data["status"] }

func sleep(seconds float64) { time.Sleep(time.Duration(seconds * float64(time.Second))) }
